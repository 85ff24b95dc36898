// Templates: what the marks stand for, what the shell is given, and that what a hostile value says
// arrives as it is and is never run. The shell itself is the judge: each template is run with every
// value, and the arguments that arrive are compared byte by byte.

#include "batch/options/command_line.h"
#include "batch/shell/template.h"
#include "tool/program.h"

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using tool::batch::Part;
using tool::batch::Template;
using tool::batch::TemplateError;
using Texts = std::vector<std::string>;

std::string text(const std::string& command, const Texts& values) {
    return Template(command, values.size()).text({.number = 7, .slot = 3, .values = values});
}

TEST(Template, puts_values_at_their_marks) {
    EXPECT_EQ(text("gzip {}", {"a"}), "gzip a");
    EXPECT_EQ(text("gzip", {"a"}), "gzip a") << "without a mark it is the last word";
    EXPECT_EQ(text("cp {} {}.old", {"a"}), "cp a a.old");
    EXPECT_EQ(text("{#} {%}", {"a"}), "7 3");
    EXPECT_EQ(text("{2} {1}", {"a", "b"}), "b a");
    EXPECT_EQ(text("x {}", {"a", "b c"}), "x a 'b c'");
    EXPECT_EQ(text("{2.} {2/} {2//} {2/.}", {"a", "p/q.r"}), "p/q q.r p q");
    EXPECT_EQ(text("{.} {/} {//} {/.}", {"p/q.tar.gz"}), "p/q.tar q.tar.gz p q.tar");
}

TEST(Template, has_no_value_behind_its_last_line) {
    EXPECT_EQ(text("echo\n\n", {"reboot"}), "echo reboot");
    EXPECT_EQ(text("echo {}\n", {"a"}), "echo a");
}

TEST(Template, a_dot_in_the_name_of_a_folder_begins_no_extension) {
    EXPECT_EQ(text("{.} {/.}", {"a.b/c"}), "a.b/c c");
}

TEST(Template, quotes_every_character_that_the_shell_reads) {
    for (const char character : std::string(" \t\n;&|<>()$`\\\"'*?[]{}#~=!^")) {
        const std::string value = std::string("a") + character;
        EXPECT_NE(tool::batch::quoted(value), value) << value;
    }
}

TEST(Template, knows_the_quotation_behind_parentheses_in_a_substitution) {
    EXPECT_EQ(text("echo \"$( (true); echo '{}')\"", {"$x"}), "echo \"$( (true); echo '$x')\"");
}

TEST(Template, leaves_other_braces_alone) {
    for (const std::string other :
         {"awk '{print}'", "{a}", "{ true; }", "${1}", "{", "{}}{", "{0}", "{1x}", "{..}", "{-1}",
          "a{", "\\{}", "{99999999999999999999}"}) {
        const std::string whole = other + " {}";
        if (other == "{}}{") continue;
        EXPECT_EQ(text(whole, {"v"}), other + " v");
    }
}

TEST(Template, names_a_list_that_is_not_there) {
    EXPECT_THROW(Template("{2}", 1), TemplateError);
    EXPECT_THROW(Template("'{3.}'", 2), TemplateError);
    EXPECT_NO_THROW(Template("{2} # {3}", 2)) << "a comment";
}

TEST(Template, parts_are_those_of_gnu_parallel) {
    // From parallel 20221122: {.} {/} {//} {/.}
    const std::vector<Texts> table{
        {"a/b.c/d.tar.gz", "a/b.c/d.tar", "d.tar.gz", "a/b.c", "d.tar"},
        {"a/b/", "a/b/", "", "a", ""},
        {"/", "/", "", "/", ""},
        {"foo", "foo", "foo", ".", "foo"},
        {".bashrc", "", ".bashrc", ".", ""},
        {"foo.", "foo.", "foo.", ".", "foo."},
        {"a//b", "a//b", "b", "a", "b"},
        {"", "", "", ".", ""},
        {"//x", "//x", "x", "/", "x"},
        {"a/.b", "a/", ".b", "a", ""},
    };
    for (const Texts& row : table) {
        EXPECT_EQ(tool::batch::part_of(row[0], Part::stem), row[1]) << row[0];
        EXPECT_EQ(tool::batch::part_of(row[0], Part::name), row[2]) << row[0];
        EXPECT_EQ(tool::batch::part_of(row[0], Part::folder), row[3]) << row[0];
        EXPECT_EQ(tool::batch::part_of(row[0], Part::name_stem), row[4]) << row[0];
    }
}

TEST(Template, gives_the_shell_no_value) {
    const Template one("gzip -9 {} \"a {}\" 'b {}'", 1);
    EXPECT_EQ(one.script(), "gzip -9 \"${ASYNCIO_BATCH_ARG_1}\" \"a ${ASYNCIO_BATCH_ARG_1}\" "
                            "'b '\"${ASYNCIO_BATCH_ARG_1}\"''");
    EXPECT_EQ(one.variables(Texts{"x"}), Texts{"ASYNCIO_BATCH_ARG_1=x"});
    const Template two("{} {2.} {#}", 2);
    EXPECT_EQ(two.script(), "\"${ASYNCIO_BATCH_ARG_1}\" \"${ASYNCIO_BATCH_ARG_2}\" "
                            "\"${ASYNCIO_BATCH_ARG_2_STEM}\" \"${ASYNCIO_BATCH_SEQ}\"");
    EXPECT_EQ(
        two.variables(Texts{"x", "y.z"}),
        (Texts{"ASYNCIO_BATCH_ARG_1=x", "ASYNCIO_BATCH_ARG_2=y.z", "ASYNCIO_BATCH_ARG_2_STEM=y"}));
}

// ------------------------------------------------------------------------------- hostile values

const Texts hostile{
    "plain",
    "two words",
    "",
    " ",
    "it's",
    "\"",
    "'; echo run; '",
    "$(echo run)",
    "`echo run`",
    "$HOME ${HOME}",
    "-rf",
    "--",
    "a\nb",
    "\n",
    "trailing\n\n",
    "\\",
    "\\n\\0",
    "*",
    "?[a-z]",
    "~",
    "#comment",
    "a;b&c|d>e<f",
    "{}",
    "{1} {.}",
    "!history",
    "\xFF\xFE bad",
    "\x01\x1b[31m",
    "$'x'",
    "%s%n",
    "x'\\''y",
    "))",
    "esac",
};

/// What `script` writes, run by the shell with these variables.
std::string output_of(const std::string& script, const Texts& variables) {
    int ends[2];
    if (::pipe(ends) != 0) return "no pipe";
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], STDOUT_FILENO);
        std::vector<const char*> environment{"PATH=/usr/bin:/bin"};
        for (const std::string& variable : variables) environment.push_back(variable.c_str());
        environment.push_back(nullptr);
        ::execle("/bin/sh", "sh", "-c", "--", script.c_str(), nullptr, environment.data());
        ::_exit(127);
    }
    ::close(ends[1]);
    std::string written;
    char chunk[4096];
    for (ssize_t count = 0; (count = ::read(ends[0], chunk, sizeof chunk)) > 0;) {
        written.append(chunk, static_cast<std::size_t>(count));
    }
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    return written;
}

struct Place {
    /// Writes its arguments, each with a bar behind it.
    std::string command;
    /// What it writes, with the value for each "V".
    std::string expected;
};

const std::vector<Place> places{
    {"printf '%s|' {}", "V|"},
    {"printf '%s|'", "V|"},
    {"printf '%s|' a{}b", "aVb|"},
    {"printf '%s|' {}{}", "VV|"},
    {"printf '%s|' \"x {} y\"", "x V y|"},
    {"printf '%s|' 'x {} y'", "x V y|"},
    {"printf '%s|' \"it's {}\" {}", "it's V|V|"},
    {"printf '%s|' 'say \"{}\"'", "say \"V\"|"},
    {"printf '%s|' \"\\\"{}\\\"\"", "\"V\"|"},
    {"printf '%s|' \\\"{}\\'", "\"V'|"},
    {"# don't\nprintf '%s|' {}", "V|"},
    {"printf '%s|' a#'b' {} # it's {}", "a#b|V|"},
    {"x={}; printf '%s|' \"$x\"", "V|"},
    {"for x in {}; do printf '%s|' \"$x\"; done", "V|"},
    {"f() { printf '%s|' \"$1\" {}; }; f z", "z|V|"},
    {"(printf '%s|' {})", "V|"},
    {"printf '%s|' {} && { printf '%s|' {}; }", "V|V|"},
    {"if [ {} = {} ]; then printf '%s|' {}; fi", "V|"},
    {"printf '%s|' \"$(printf '%s.' {})\"", "V.|"},
    {"printf '%s|' \"$( (printf '%s.' {}) )\" \"{}\"", "V.|V|"},
    {"printf '%s|' \"`printf '%s.' {}`\"", "V.|"},
    {"printf '%s|' \"${HOME-{}}\"", "V|"},
    {"case {} in *) printf '%s|' {} ;; esac", "V|"},
    {"sh -c 'printf \"%s|\" \"$1\"' sh {}", "V|"},
    {"printf '%s|' {} | cat", "V|"},
    {"eval 'printf \"%s|\" \"$ASYNCIO_BATCH_ARG_1\"' # {}", "V|"},
};

/// In what the shell reads as a text, quotation marks stand as they are.
const std::vector<Place> documents{
    {"cat <<X\n{}\nX", "V\n"},
    {"cat <<X; printf '%s|' {}\nit's {} {}\nX\nprintf '%s|' \"{}\"", "it's V V\nV|V|"},
    {"cat <<-X\n\tsay \"{}\"\n\tX\nprintf '%s|' {}", "say \"V\"\nV|"},
    {"cat <<X; cat << Y\na {}\nX\nb {}\nY", "a V\nb V\n"},
    {"cat <<X; cat <<Y\nX\n{}\nY", "V\n"},
    {"cat <<'X'\nit's $HOME ` \\{}\nX\nprintf '%s|' {}", "it's $HOME ` \\{}\nV|"},
    {"cat <<X\n$(printf '%s.' {}) {}\nX", "V. V\n"},
    {"cat <<X\na {}\n X\nXX\nX", "a V\n X\nXX\n"},
    {"printf '%s|' $((1 << 2)) {}\n: 2 {}", "4|V|"},
    {"cat <<X\n$(printf '%s.' {}\n:) {}\nX", "V. V\n"},
    {"cat <<X\n\\$( {}\nX\nprintf '%s|' {}", "$( V\nV|"},
    {"X() { :; }; printf '%s|' $((1 << X)){}\nprintf '%s|' {}\nX", "1V|V|"},
    {"while read x; do printf '%s|' {}; done <<X\n1\nX\nprintf '%s|' 'x {}'", "V|x V|"},
};

std::string with_value(const std::string& expected, const std::string& value) {
    std::string whole;
    for (const char character : expected) {
        if (character == 'V') {
            whole += value;
        } else {
            whole += character;
        }
    }
    return whole;
}

TEST(Template, gives_a_hostile_value_to_the_program_as_it_is) {
    for (const Place& place : places) {
        const Template command(place.command, 1);
        for (const std::string& value : hostile) {
            const bool is_test_operand =
                place.command.starts_with("if [") && (value == "" || value == "!history");
            if (is_test_operand) continue;
            EXPECT_EQ(output_of(command.script(), command.variables(Texts{value})),
                      with_value(place.expected, value))
                << place.command << "\nvalue: " << value;
        }
    }
}

TEST(Template, puts_values_into_here_documents_as_they_are) {
    for (const Place& place : documents) {
        const Template command(place.command, 1);
        for (const std::string& value : hostile) {
            EXPECT_EQ(output_of(command.script(), command.variables(Texts{value})),
                      with_value(place.expected, value))
                << place.command << "\nvalue: " << value;
            // A substitution takes newlines away at its end, also that of the shown text.
            if (value.ends_with('\n')) continue;
            EXPECT_EQ(output_of(text(place.command, {value}), {}),
                      with_value(place.expected, value))
                << text(place.command, {value});
        }
    }
    const std::string ends_it = "a\nX\necho run\nX";
    EXPECT_EQ(output_of(text("cat <<X\n{}\nX", {ends_it}), {}), ends_it + "\n");
    EXPECT_THROW(Template("cat <<X\nx\nX", 1), TemplateError) << "the value would be its end";
    // Without the line that ends it, this may be arithmetic of another shell.
    EXPECT_EQ(Template("((y <<X)); echo {}\necho {}", 1).script(),
              "((y <<X)); echo \"${ASYNCIO_BATCH_ARG_1}\"\necho \"${ASYNCIO_BATCH_ARG_1}\"");
    for (const char* literal : {"cat <<'X'\n{}\nX", "cat <<\"X\"\n{#}\nX", "cat <<\\X\n{/}\nX"}) {
        EXPECT_THROW(Template(literal, 1), TemplateError) << literal;
    }
}

TEST(Template, is_shown_as_a_command_that_does_the_same) {
    for (const Place& place : places) {
        // Quotation inside backticks is read twice; comments are as they were; the last place has
        // no value in its text.
        if (place.command.find('`') != std::string::npos) continue;
        if (place.command.starts_with("eval")) continue;
        if (place.command.find("HOME-") != std::string::npos) continue;
        for (const std::string& value : hostile) {
            EXPECT_EQ(output_of(text(place.command, {value}), {}),
                      with_value(place.expected, value))
                << text(place.command, {value});
        }
    }
}

TEST(Template, can_never_run_a_value_even_where_its_place_is_not_understood) {
    const std::string attack = "x'\"`touch pwned`$(touch pwned)\ntouch pwned\n;touch pwned;'\"";
    for (const std::string odd :
         {"cat <<X\n{}\nX", "cat <<'X'\n\\{}\nX\n: {}", "echo $((1<<2))\n{}",
          "printf %s $((1 + 1)){}", "echo $'{}'", "echo $'\\'{}",
          "echo \"$(case x in x) echo {};; esac)\" {}", "echo \"${x:-'{}'}\"", "echo `echo {}`",
          "# {}\n: {}", "echo \\{}", "echo 'a\\{}'", "echo \"`echo \"{}\"`\"", "echo {",
          "while read x; do echo \"$x\"; done <<X\n\"{}\"\nX"}) {
        const Template command(odd, 1);
        const std::string written =
            output_of("cd \"${TMPDIR:-/tmp}\"; rm -f pwned; " + command.script() +
                          "\n[ ! -e pwned ] || echo it was run",
                      command.variables(Texts{attack}));
        EXPECT_EQ(written.find("it was run"), std::string::npos) << odd << "\n" << written;
    }
}

// ------------------------------------------------------------------------------ the command line

tool::batch::CommandLine sorted(const Texts& arguments) {
    CLI::App app;
    app.add_flag("-k,--keep");
    app.add_flag("-q,--quiet");
    app.add_option("-j,--jobs")->expected(1);
    return tool::batch::sort_arguments(app, arguments);
}

TEST(CommandLine, tells_options_from_commands) {
    const auto line = sorted(
        {"-k", "a", "-j", "4", "++", "--jobs=5", "[ a, b ]", "-", "--jobs", "-6", "-kqj7", "b"});
    EXPECT_EQ(line.words, (Texts{"a", "++", "[ a, b ]", "-", "b"}));
    EXPECT_EQ(line.options,
              (Texts{"-k", "-j", "4", "--jobs=5", "--jobs", "-6", "-k", "-q", "-j", "7"}));
}

TEST(CommandLine, has_no_options_behind_two_dashes) {
    const auto line = sorted({"-k", "--", "-q", "--", "x"});
    EXPECT_EQ(line.words, (Texts{"-q", "--", "x"}));
    EXPECT_EQ(line.options, Texts{"-k"});
}

TEST(CommandLine, of_a_template_has_its_options_in_front_and_its_values_behind) {
    const auto line = sorted(
        {"-k", "gzip", "-q", "{}", ":::", "-j", "--", "::::", "f", ":::+", "x", "::::+", ":::"});
    EXPECT_EQ(line.words, (Texts{"gzip", "-q", "{}"}));
    EXPECT_EQ(line.options, Texts{"-k"});
    const std::vector<tool::batch::ListWords> expected{
        {.words = {"-j", "--"}},
        {.in_files = true, .words = {"f"}},
        {.linked = true, .words = {"x"}},
        {.in_files = true, .linked = true, .words = {}},
        {.words = {}}};
    EXPECT_EQ(line.lists, expected);
}

}  // namespace
