"""asyncio-lint: each shape is found at its line, and none is found in our own programs.

The shapes of await-in-condition were run under g++ 12.2: those that hang are found, those that work
are not.
"""

import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "tool", "lint", "asyncio-lint")

sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("asyncio_lint", SCRIPT)
spec = importlib.util.spec_from_loader("asyncio_lint", loader)
lint = importlib.util.module_from_spec(spec)
loader.exec_module(lint)


def rules_of(text):
    return [rule for _, rule, _ in lint.check(text)]


HANGS = (
    "if (co_await yes()) r = 1;",
    "foo(); if (co_await yes()) r = 1;",
    "if (!co_await no()) r = 1;",
    "while (co_await yes()) { r = 1; break; }",
    "switch (co_await yes()) { case true: r = 1; break; default: r = 2; }",
    "{ if (co_await yes()) r = 1; }",
    "try { if (co_await yes()) r = 1; } catch (...) {}",
    "for (;;) { if (co_await yes()) { r = 1; break; } }",
    "co_await yes(); if (co_await yes()) r = 1;",
    "if (r == 0 && co_await yes()) r = 1;",
    "do { r = 1; } while (co_await no());",
    "for (; co_await yes();) { r = 1; break; }",
    "if (co_await yes()) co_return r = 1; co_return 0;",
    "if (co_await make(std::string(\"x\"))) r = 1;",
    "if constexpr (true) { if (co_await yes()) r = 1; }",
    "if (r == 0) r = 0; else r = 3; if (co_await yes()) r = 1;",
)
WORKS = (
    "int a = 1; if (co_await yes()) r = a;",
    "std::string a; if (co_await yes()) r = 1;",
    "if (auto x = co_await yes()) r = x;",
    "if (bool x = true; co_await yes()) r = x;",
    "for (int i = 0; i < 1; ++i) { if (co_await yes()) r = 1; }",
    "for (const auto& [key, value] : all) if (co_await yes()) r = value;",
    "const bool x = co_await yes(); if (x) r = 1;",
    "if (co_await yes()) { int q = 1; r = q; }",
    "if (co_await yes()) r = 1; int q = 0; foo(q);",
    "static int z = 0; if (co_await yes()) r = z;",
    "using B = bool; if (B(co_await yes())) r = 1;",
    "try { foo(); } catch (const Error& e) { r = e; } if (co_await yes()) r = 1;",
    "r = co_await yes() ? 1 : 2;",
    "std::map<int, int>::iterator it; if (co_await yes()) r = 1;",
    "auto l = []() -> Coro<> { if (co_await yes()) r = 1; }; co_await l();",
    "return; // if (co_await yes())\n co_return;",
)


class Lint(unittest.TestCase):
    def test_a_condition_that_hangs_is_found(self):
        for body in HANGS:
            self.assertIn("await-in-condition", rules_of("Coro<int> f(int p) { %s }" % body), body)
            self.assertIn("await-in-condition",
                          rules_of("struct S {\n Coro<> S::f() const noexcept { %s }\n};" % body))

    def test_a_condition_that_works_is_not(self):
        for body in WORKS:
            self.assertEqual(rules_of("Coro<int> f(int p) { %s }" % body), [], body)

    def test_the_line_is_that_of_the_condition(self):
        text = ("Coro<> f() {\n    foo();  // a note\n    /* and\n another */ if (\n"
                " co_await g()) h();\n}\n")
        self.assertEqual([(line, rule) for line, rule, _ in lint.check(text)],
                         [(4, "await-in-condition")])

    def test_an_await_in_a_handler_is_found_and_one_behind_it_is_not(self):
        self.assertEqual(rules_of("Coro<> f() { int a; try { g(); } catch (const E& e) {\n"
                                  " co_await h(); } }"), ["await-in-handler"])
        self.assertEqual(rules_of("Coro<> f() { int a = 0; try { g(); } catch (...) { a = 1; }\n"
                                  " if (a) co_await h(); }"), [])

    def test_a_temporary_closure_that_owns_something_is_found(self):
        body = "Coro<> f(std::string text, int n) { co_await g([%s] { return 1; }); }"
        for captures in ("text", "&n, text", "p = std::make_unique<int>(1)", "t = std::move(text)"):
            self.assertEqual(rules_of(body % captures), ["closure-in-await"], captures)
        for captures in ("&", "n", "&text", "", "this", "n, &text"):
            self.assertEqual(rules_of(body % captures), [], captures)
        self.assertEqual(rules_of("Coro<> f(std::string text) {\n"
                                  " auto c = [text] {}; co_await g(c); }"), [])

    def test_a_temporary_aggregate_that_owns_something_is_found(self):
        text = ("struct Job { std::string name; int n; };\n"
                "struct Plain { int n; };\n"
                "struct Made { explicit Made(int); std::string name; };\n"
                "Coro<> f() {\n co_await g(%s{1});\n}")
        self.assertEqual([(line, rule) for line, rule, _ in lint.check(text % "Job")],
                         [(5, "aggregate-in-await")])
        self.assertEqual(rules_of(text % "Plain"), [])
        self.assertEqual(rules_of(text % "Made"), [])

    def test_a_list_in_an_await_is_found_and_options_are_not(self):
        for argument in ("{1, 2}", "std::vector{a, b}", "std::vector<Task<>>{a, b}"):
            self.assertEqual(rules_of("Coro<> f() { co_await wait(%s); }" % argument),
                             ["list-in-await"], argument)
        self.assertEqual(rules_of("Coro<> f() { co_await wait(tasks, {.timeout = 1s}); }"), [])
        self.assertEqual(rules_of("Coro<> f() { co_await f({}); }"), [])
        self.assertEqual(rules_of("Coro<> f() { std::vector<int> v{1, 2}; co_await g(v); }"), [])

    def test_a_closure_that_dies_before_its_coroutine_is_found(self):
        for use in ("auto t = create_task(%s());", "all.push_back(%s());", "auto c = %s();",
                    "group.create_task(%s(1));"):
            closure = "[&]() -> Coro<> { co_await g(); }"
            self.assertEqual(rules_of("void f() { %s }" % use.replace("%s", closure)),
                             ["dying-closure"], use)
        for use in ("co_await [&]() -> Coro<> { co_await g(); }();",
                    "co_await gather([&]() -> Coro<> { co_await g(); }(), h());",
                    "run([&]() -> Coro<> { co_await g(); }());",
                    "create_task([&]() -> Coro<> { co_await g(); });",
                    "create_task([]() -> Coro<> { co_await g(); }());"):
            self.assertEqual(rules_of("Coro<> f() { int a; %s }" % use), [], use)

    def test_a_holder_without_a_name_is_found(self):
        for statement in ("co_await lock.acquire();", "co_await self->limits[0].acquire();"):
            self.assertEqual(rules_of("Coro<> f() { int a;\n %s }" % statement), ["dropped-holder"])
        for statement in ("auto held = co_await lock.acquire();",
                          "(co_await lock.acquire()).keep();",
                          "static_cast<void>(co_await lock.acquire());"):
            self.assertEqual(rules_of("Coro<> f() { int a;\n %s }" % statement), [], statement)

    def test_comments_and_texts_are_no_program(self):
        self.assertEqual(rules_of('Coro<> f() { g("if (co_await h())"); /* if (co_await h()) */\n'
                                  ' g(R"(if (co_await h()) {)"); co_await h(); }'), [])

    def test_a_line_can_be_exempted(self):
        self.assertEqual(rules_of("Coro<> f() {\n"
                                  " co_await l.acquire();  // asyncio-lint: ok\n}"), [])

    def test_nothing_is_found_in_our_own_programs(self):
        folders = [os.path.join(ROOT, name) for name in ("include", "src", "tool", "examples",
                                                         "bench", "tests")]
        found = subprocess.run([sys.executable, "-B", SCRIPT, *folders], capture_output=True,
                               text=True, check=False).stdout
        own = [line for line in found.splitlines() if "tests/compile_fail/" not in line]
        self.assertEqual(own, [])

    def test_it_says_where_and_ends_with_1(self):
        path = os.path.join(ROOT, "tests", "compile_fail", "cases.cpp")
        end = subprocess.run([sys.executable, "-B", SCRIPT, path], capture_output=True, text=True,
                             check=False)
        self.assertEqual(end.returncode, 1)
        self.assertRegex(end.stdout, re.escape(path) + r":\d+: closure-in-await: ")
        missing = subprocess.run([sys.executable, "-B", SCRIPT, path + ".none"],
                                 capture_output=True, text=True, check=False)
        self.assertEqual(missing.returncode, 2)


if __name__ == "__main__":
    unittest.main()
