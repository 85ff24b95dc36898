"""Shows that every rule of tools/tidy.py fires on a bad snippet and is silent on a good one.

Each test lays out a small project in a temporary folder and asks which rules it breaks, where.
"""

import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools"))
import tidy  # noqa: E402

HEADER = "#pragma once\n// What this is for.\n"


def found_in(files, allowed=None):
    """The violations of a project of `files`, in which only `allowed` is excepted."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        with mock.patch.dict(tidy.ALLOWED, allowed or {}, clear=True):
            return [(path, line, rule) for path, line, rule, _ in tidy.check(root)]


class TidyTest(unittest.TestCase):
    def rules(self, path, body, others=None, opening="// What this is for.\n"):
        """(line, rule) per violation of one file; its first line is the purpose."""
        if path.endswith(".h"):
            opening = HEADER
        files = dict(others or {})
        files[path] = opening + body
        return [(line, rule) for where, line, rule in found_in(files) if where == path]

    # ------------------------------------------------------------------------------ the four laws

    def test_a_handle_is_resumed_by_the_loop_and_an_awaiting_parent_only(self):
        body = "void f() { handle.resume(); }\n"
        self.assertEqual(self.rules("src/streams/streams.cpp", body), [(2, "resume")])
        self.assertEqual(self.rules("examples/a.cpp", "int main() { h->resume(); }\n"),
                         [(2, "resume")])
        self.assertEqual(self.rules("tests/core/a.cpp", body), [])
        self.assertEqual(self.rules("include/asyncio/coro.h", body), [])

    def test_the_places_that_may_resume_do_so_once(self):
        body = "void f() {\n    a.resume();\n    b.resume();\n}\n"
        self.assertEqual(self.rules("include/asyncio/coro.h", body), [(5, "resume")])

    def test_resume_in_a_comment_or_a_string_is_no_call(self):
        body = '// x.resume();\nconst char* s = "x.resume()";\n'
        self.assertEqual(self.rules("src/streams/streams.cpp", body), [])

    def test_a_blocking_call_stands_in_the_backend_or_between_fork_and_exec(self):
        body = "void f() { ::read(0, p, 1); }\n"
        self.assertEqual(self.rules("src/streams/file.cpp", body), [(2, "blocking")])
        self.assertEqual(self.rules("tool/main.cpp", body), [(2, "blocking")])
        self.assertEqual(self.rules("include/asyncio/file.h", body), [(3, "blocking")])
        self.assertEqual(self.rules("src/backend/epoll.cpp", body), [])
        self.assertEqual(self.rules("src/base/workers.cpp", body), [])
        self.assertEqual(self.rules("src/process/spawn.cpp", body), [])
        self.assertEqual(self.rules("tests/streams/a.cpp", body), [])

    def test_blocking_calls_are_known_with_and_without_their_namespace(self):
        for call in ("nanosleep(&t, 0)", "usleep(1)", "::sleep(1)", "::poll(p, 1, -1)",
                     "epoll_wait(e, v, 1, -1)", "waitpid(-1, nullptr, 0)", "::waitpid(pid, &s, 0)",
                     "::getaddrinfo(a, b, c, d)", "::connect(fd, a, n)",
                     "std::this_thread::sleep_for(1s)", "std::condition_variable arrived"):
            with self.subTest(call):
                self.assertEqual(self.rules("src/core/run.cpp", f"void f() {{ {call}; }}\n"),
                                 [(2, "blocking")])

    def test_names_that_only_look_like_blocking_calls_pass(self):
        for call in ("asyncio::sleep(1s)", "co_await sleep(1s)", "reader.read(1)", "io::write(1)",
                     "co_await getaddrinfo(host, 80)",
                     "::waitpid(pid, &s, WNOHANG)", "waitid(P_PIDFD, fd, &i, WEXITED | WNOHANG)",
                     "queue.poll()", "int Door::open(1)"):
            with self.subTest(call):
                self.assertEqual(self.rules("src/core/run.cpp", f"void f() {{ {call}; }}\n"), [])

    def test_a_condition_on_the_system_stands_in_the_backend_or_the_machine(self):
        for condition in ("#ifdef __linux__", "#if defined(SYS_pidfd_open)", "#ifndef _WIN32",
                          "#if __has_include(<sys/epoll.h>)", "#if ASYNCIO_WITH_IO_URING",
                          "#if 0\n#elif defined(__APPLE__)"):
            body = condition + "\nint x;\n#endif\n"
            with self.subTest(condition):
                self.assertEqual([rule for _, rule in self.rules("src/streams/a.cpp", body)],
                                 ["system_condition"])
                self.assertEqual(self.rules("src/backend/a.cpp", body), [])
                self.assertEqual(self.rules("src/machine/a.cpp", body), [])

    def test_a_question_to_the_compiler_may_stand_anywhere(self):
        for condition in ("#ifndef NDEBUG", "#if defined(__clang__) && __GNUC__ < 13",
                          "#if defined(__has_feature)", "#if __has_feature(address_sanitizer)",
                          "#if 0"):
            with self.subTest(condition):
                self.assertEqual(self.rules("src/streams/a.cpp", condition + "\n#endif\n"), [])

    def test_a_switch_over_the_kinds_of_operations_has_no_default(self):
        kinds = "switch (o.kind) {\n  case OperationKind::read: return 1;\n"
        default = "  default: return 2;\n"
        self.assertEqual(self.rules("src/backend/a.cpp", f"int f() {{\n{kinds}{default}}}}}\n"),
                         [(3, "operation_kinds")])
        self.assertEqual(self.rules("src/backend/a.cpp", f"int f() {{\n{kinds}}}}}\n"), [])
        self.assertEqual(self.rules("src/backend/a.cpp",
                                    f"int f() {{ switch (c) {{\n{default}}}}}\n"), [])

    def test_the_roof_and_the_protocols_include_public_headers_only(self):
        for path in ("examples/a.cpp", "tool/a.cpp", "bench/micro/a.cpp", "src/http/a.cpp",
                     "libs/testing/src/a.cpp"):
            with self.subTest(path):
                self.assertIn((2, "public_headers_only"),
                              self.rules(path, "#include <asyncio/internal/base/time.h>\n"))
                self.assertEqual(self.rules(path, "#include <asyncio/sleep.h>\n"), [])
        self.assertEqual(self.rules("tool/main.cpp", '#include "loop/event_loop.h"\n'),
                         [(2, "public_headers_only")])
        self.assertEqual(self.rules("tool/main.cpp", '#include "../src/base/log.h"\n',
                                    {"src/base/log.h": HEADER}), [(2, "public_headers_only")])

    def test_a_third_party_library_has_its_own_files(self):
        include = "#include <openssl/ssl.h>\n"
        for path in ("src/core/a.cpp", "libs/tls/src/a.cpp", "libs/tls/include/asyncio/tls/a.h",
                     "libs/http/src/engine/a.cpp", "tests/core/a.cpp", "tool/a.cpp"):
            with self.subTest(path):
                self.assertIn("third_party", [rule for _, rule in self.rules(path, include)])
        self.assertEqual(self.rules("libs/tls/src/engine/a.cpp", include), [])

    def test_an_engine_knows_no_loop(self):
        path = "libs/tls/src/engine/a.cpp"
        own = "libs/tls/include/asyncio/tls/a.h"
        self.assertIn((2, "engine"), self.rules(path, "#include <asyncio/event_loop.h>\n"))
        self.assertEqual(self.rules(path, "#include <asyncio/exceptions.h>\n"), [])
        include = "#include <asyncio/tls/a.h>\n"
        self.assertEqual(self.rules(path, include, {own: HEADER}), [])
        channel = HEADER + "#include <asyncio/lowlevel/channel.h>\n"
        self.assertIn((2, "engine"), self.rules(path, include, {own: channel}))
        self.assertNotIn((2, "engine"), self.rules("libs/tls/src/a.cpp", include, {own: channel}))

    def test_a_library_includes_headers_of_its_own_sources(self):
        own = {"libs/tls/src/engine/b.h": HEADER}
        include = '#include "engine/b.h"\n'
        for path in ("libs/tls/src/a.cpp", "libs/tls/src/engine/a.cpp"):
            self.assertEqual(self.rules(path, include, own), [])
        self.assertEqual(self.rules("libs/http/src/a.cpp", include, own),
                         [(2, "public_headers_only")])

    def test_a_room_of_the_roof_includes_its_own_headers(self):
        others = {"tool/table.h": HEADER, "tool/batch/plan.h": HEADER}
        for name in ("table.h", "batch/plan.h"):
            self.assertEqual(self.rules("tool/main.cpp", f'#include "{name}"\n', others), [])
        self.assertEqual(self.rules("tool/batch/a.cpp", '#include "plan.h"\n', others), [])
        self.assertEqual(self.rules("src/http/server.cpp", '#include "http/parser.h"\n',
                                    {"src/http/parser.h": HEADER}), [])

    def test_a_room_of_the_tool_includes_no_room_above_it(self):
        others = {"tool/codes.h": HEADER, "tool/terminal/text.h": HEADER,
                  "tool/batch/plan.h": HEADER, "tool/batch/job/job.h": HEADER}
        terminal, job, plan, codes = (f'#include "{name}"\n' for name in (
            "terminal/text.h", "batch/job/job.h", "batch/plan.h", "codes.h"))
        above = [(2, "rooms_of_the_tool")]
        self.assertEqual(self.rules("tool/terminal/a.cpp", plan, others), above)
        self.assertEqual(self.rules("tool/guard/a.cpp", job, others), above)
        self.assertEqual(self.rules("tool/batch/job/a.cpp", plan, others), above)
        self.assertEqual(self.rules("tool/batch/a.cpp", plan + job + terminal + codes, others), [])
        self.assertEqual(self.rules("tool/guard/a.cpp", terminal + codes, others), [])
        self.assertEqual(self.rules("tool/main.cpp", plan + terminal, others), [])
        self.assertEqual(self.rules("tool/crawl/a.cpp", "int a;\n"), [(1, "rooms_of_the_tool")])

    def test_protocols_do_not_know_the_loop_or_the_kernel(self):
        for name in ("asyncio/event_loop.h", "asyncio/lowlevel/fd.h"):
            self.assertIn((2, "public_headers_only"),
                          self.rules("src/http/server.cpp", f"#include <{name}>\n"))

    # --------------------------------------------------------------------------------- the floors

    def test_no_floor_includes_one_that_it_may_not_know(self):
        for path, include in (
                ("src/base/fd.cpp", "<asyncio/lowlevel/backend.h>"),
                ("src/base/fd.cpp", '"loop/inbox.h"'),
                ("src/base/fd.cpp", "<coroutine>"),
                ("src/backend/epoll.cpp", "<asyncio/event_loop.h>"),
                ("src/backend/epoll.cpp", "<coroutine>"),
                ("src/loop/event_loop.cpp", "<asyncio/task.h>"),
                ("src/loop/event_loop.cpp", "<sys/epoll.h>"),
                ("src/core/task.cpp", "<asyncio/streams.h>"),
                ("src/core/task.cpp", "<unistd.h>"),
                ("src/core/task.cpp", '"backend/epoll.h"'),
                ("src/sync/queue.cpp", "<asyncio/streams.h>"),
                ("src/streams/streams.cpp", "<asyncio/sync.h>"),
                ("src/streams/streams.cpp", "<liburing.h>"),
                ("include/asyncio/lowlevel/operation.h", "<asyncio/event_loop.h>"),
                ("include/asyncio/event_loop.h", "<asyncio/future.h>"),
                ("include/asyncio/task.h", "<asyncio.h>")):
            with self.subTest(f"{path} {include}"):
                rules = [rule for _, rule in self.rules(path, f"#include {include}\n")]
                self.assertIn("floors", rules)

    def test_floors_include_what_is_below_them(self):
        for path, include in (
                ("src/backend/epoll.cpp", "<asyncio/lowlevel/operation.h>"),
                ("src/backend/epoll.cpp", "<sys/epoll.h>"),
                ("src/loop/event_loop.cpp", "<asyncio/lowlevel/backend.h>"),
                ("src/loop/event_loop.cpp", '"base/log.h"'),
                ("src/core/task.cpp", "<asyncio/event_loop.h>"),
                ("src/streams/streams.cpp", "<asyncio/lowlevel/operation.h>"),
                ("include/asyncio/task.h", "<asyncio/future.h>")):
            with self.subTest(f"{path} {include}"):
                self.assertEqual(self.rules(path, f"#include {include}\n"), [])

    def test_a_new_header_needs_a_floor(self):
        self.assertEqual(self.rules("include/asyncio/surprise.h", ""), [(1, "floors")])
        self.assertEqual(self.rules("src/cellar/a.cpp", ""), [(1, "floors")])
        self.assertEqual(self.rules("include/asyncio.h", "#include <asyncio/task.h>\n"), [])

    def test_threads_are_started_in_base_and_in_the_room_for_them(self):
        body = "void f() { std::thread helper(g); }\n"
        self.assertEqual(self.rules("src/core/run.cpp", body), [(2, "thread")])
        self.assertEqual(self.rules("src/base/workers.cpp", body), [])
        self.assertEqual(self.rules("src/executors/executor.cpp", body), [])
        self.assertEqual(self.rules("src/core/run.cpp", "std::thread::id owner;\n"), [])

    # ------------------------------------------------------------------------- sizes and openings

    def test_a_file_has_at_most_600_lines(self):
        self.assertEqual(self.rules("src/streams/a.cpp", "int x;\n" * 599), [])
        self.assertEqual(self.rules("src/streams/a.cpp", "int x;\n" * 600), [(601, "size")])

    def test_columns_tabs_and_trailing_blanks(self):
        self.assertEqual(self.rules("src/streams/a.cpp", "// " + "x" * 97 + "\n"), [])
        self.assertEqual(self.rules("src/streams/a.cpp", "// " + "x" * 98 + "\n"), [(2, "layout")])
        self.assertEqual(self.rules("src/streams/a.cpp", "// " + "≥" * 97 + "\n"), [])
        self.assertEqual(self.rules("src/streams/a.cpp", "\tint x;\n"), [(2, "layout")])
        self.assertEqual(self.rules("src/streams/a.cpp", "int x; \n"), [(2, "layout")])
        self.assertEqual(self.rules("src/streams/a.cpp", "int x;"), [(2, "layout")])
        self.assertEqual(found_in({"tools/a.py": "#" * 101 + "\n"}), [("tools/a.py", 1, "layout")])
        self.assertEqual(found_in({"README.md": "x" * 101 + "  \n"}), [])

    def test_a_header_is_guarded_and_says_what_it_is_for(self):
        path = "include/asyncio/task.h"
        self.assertEqual(found_in({path: "// Tasks.\n"}), [(path, 1, "opening")])
        self.assertEqual(found_in({path: "#pragma once\nint x;\n"}), [(path, 2, "opening")])
        self.assertEqual(found_in({path: HEADER}), [])

    def test_a_file_without_a_header_of_its_own_says_what_it_is_for(self):
        self.assertEqual(found_in({"tool/main.cpp": "int main() {}\n"}),
                         [("tool/main.cpp", 1, "opening")])

    # ------------------------------------------------------------------------------------ wording

    def test_words_that_mean_nothing_to_a_reader(self):
        for words in ("TODO: later", "FIXME", "fixes issue 12", "see #45", "ticket 7",
                      "written in this session", "see ../shared/style.md", "in /work/main"):
            with self.subTest(words):
                self.assertEqual(self.rules("src/streams/a.cpp", f"// {words}\n"), [(2, "wording")])
        self.assertEqual(found_in({"README.md": "# Title\nSee issue 3.\n"}),
                         [("README.md", 2, "wording")])

    def test_words_that_look_alike_pass(self):
        for words in ("TODO(perf): a faster heap", "the child leads a new session",
                      "a session leader", "a session of its own", "TLS session tickets",
                      "shared_ptr, shared state", "python/cpython#12345 describes it",
                      "#include is first"):
            with self.subTest(words):
                self.assertEqual(self.rules("src/streams/a.cpp", f"// {words}\n"), [])

    def test_ids_of_behaviours_belong_to_tests(self):
        self.assertEqual(self.rules("src/loop/a.cpp", "// LOOP-04\n"), [(2, "wording")])
        self.assertEqual(self.rules("tests/loop/a.cpp", "// LOOP-04\n"), [])

    def test_a_sentence_does_not_begin_with_a_bare_pronoun(self):
        for words in ("Whoever asks waits.", "It waits. Nobody knows.", "Those are kept:"):
            with self.subTest(words):
                self.assertEqual(self.rules("src/core/a.cpp", f"// {words}\n"), [(2, "sentences")])
        self.assertEqual(self.rules("src/core/a.cpp", "// All those tasks wait.\n"), [])

    def test_the_share_of_comments_does_not_fall(self):
        code, comment = "int x;\n", "// Why.\n"
        with mock.patch.dict(tidy.LEAST_PROSE, {"core": 30}):
            few = {"src/core/a.cpp": "// What this is for.\n" + code * 701 + comment * 299}
            self.assertEqual(found_in(few), [("src/core/a.cpp", 1001, "size"),
                                             ("src/core", 1, "prose")])
            enough = {"src/core/a.cpp": "// What this is for.\n" + code * 70 + comment * 30}
            self.assertEqual(found_in(enough), [])

    # --------------------------------------------------------------------------------- exceptions

    def test_an_exception_silences_its_rule_in_its_file_only(self):
        body = "// What this is for.\nvoid f() { ::read(0, p, 1); }\n"
        self.assertEqual(found_in({"examples/slow.cpp": body, "examples/b.cpp": body},
                                  {("blocking", "examples/slow.cpp"): "on purpose"}),
                         [("examples/b.cpp", 2, "blocking")])

    def test_an_exception_nobody_needs_is_a_violation(self):
        self.assertEqual(found_in({"examples/slow.cpp": "// What this is for.\n"},
                                  {("blocking", "examples/slow.cpp"): "on purpose"}),
                         [("tools/tidy.py", 1, "allowed")])


if __name__ == "__main__":
    unittest.main()
