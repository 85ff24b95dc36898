// What is read from files and pipes: where an item ends, which commands are left out, what is
// refused by name, and in which order values are combined. A pipe that is written byte by byte
// gives what a file gives.

#include "batch/input/command_feed.h"
#include "batch/input/value_feed.h"
#include "batch/output/printer.h"
#include "batch/shell/open_quotation.h"
#include "terminal/blocks.h"

#include <cstdlib>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using namespace asyncio;
using tool::Blocks;
using tool::batch::Input;
using tool::batch::InputError;
using tool::batch::ItemEnd;
using tool::batch::ItemReader;
using Texts = std::vector<std::string>;
using Lists = std::vector<tool::batch::ListWords>;

Coro<Texts> read_all(ItemReader& reader) {
    Texts items;
    for (;;) {
        std::optional<std::string> item = co_await reader.next();
        if (!item) co_return items;
        items.push_back(std::move(*item));
    }
}

Texts items(const std::string& text, ItemEnd end = ItemEnd::line) {
    ItemReader reader(tool::batch::input_of_text("a file", text), end, "command");
    return run(read_all(reader));
}

/// The same through a pipe, one byte at a time.
Texts items_byte_by_byte(const std::string& text, ItemEnd end = ItemEnd::line) {
    return run([](std::string all, ItemEnd item_end) -> Coro<Texts> {
        int ends[2];
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        lowlevel::Fd writer(ends[1]);
        ItemReader reader({.name = "a pipe", .file = lowlevel::Fd(ends[0])}, item_end, "command");
        const Task<Texts> reading = create_task(read_all(reader));
        for (const char byte : all) {
            EXPECT_EQ(::write(writer.get(), &byte, 1), 1);
            for (int turn = 0; turn < 3; ++turn) co_await sleep(Duration::zero());
        }
        writer.reset();
        co_return co_await reading;
    }(text, end));
}

std::string refusal(const std::string& text, ItemEnd end = ItemEnd::line) {
    try {
        items(text, end);
        return "";
    } catch (const InputError& error) {
        return error.what();
    }
}

TEST(Items, are_the_lines) {
    EXPECT_EQ(items("echo a\necho b\n"), (Texts{"echo a", "echo b"}));
    EXPECT_EQ(items("echo a\necho b"), (Texts{"echo a", "echo b"})) << "the last without newline";
    EXPECT_EQ(items(""), Texts{});
    EXPECT_EQ(items("\n\na\n"), (Texts{"", "", "a"}));
    EXPECT_EQ(items("a\r\nb \r\nc\rd\r"), (Texts{"a", "b ", "c\rd"}));
    EXPECT_EQ(items("\xFF\xFE'\n"), (Texts{"\xFF\xFE'"})) << "no UTF-16 without NUL bytes";
}

TEST(Items, have_no_byte_order_mark_before_the_first) {
    EXPECT_EQ(items("\xEF\xBB\xBF"
                    "a\r\nb\r\n"),
              (Texts{"a", "b"}));
    EXPECT_EQ(items("\xEF\xBB\xBF"), Texts{""});
    EXPECT_EQ(items("a\n\xEF\xBB\xBF"
                    "b\n"),
              (Texts{"a", "\xEF\xBB\xBF"
                          "b"}))
        << "elsewhere it is what somebody has written";
}

TEST(Items, that_end_with_NUL_bytes_are_taken_as_they_are) {
    EXPECT_EQ(items(std::string("\xEF\xBB\xBF a\n\0\0b\r\0c", 12), ItemEnd::nul),
              (Texts{"\xEF\xBB\xBF a\n", "", "b\r", "c"}));
}

TEST(Items, are_the_same_however_they_arrive) {
    for (const std::string text : {"a\r\nb\n\nc", "\xEF\xBB\xBFx\r\n", "\r\n", "x"}) {
        EXPECT_EQ(items_byte_by_byte(text), items(text)) << text;
    }
    const std::string with_zeros("a\0b\n\0", 5);
    EXPECT_EQ(items_byte_by_byte(with_zeros, ItemEnd::nul), items(with_zeros, ItemEnd::nul));
}

TEST(Items, with_a_NUL_byte_are_refused_with_the_number_of_the_line) {
    EXPECT_EQ(refusal(std::string("echo a\necho \0 b\n", 16)),
              "a file, line 2: a command cannot hold a NUL byte");
    EXPECT_EQ(refusal(std::string("\0", 1)), "a file, line 1: a command cannot hold a NUL byte");
    EXPECT_THROW(items_byte_by_byte(std::string("a\nb\nc\0", 6)), InputError);
    EXPECT_EQ(refusal(std::string("\xFF\xFE"
                                  "e\0c\0",
                                  6)),
              "a file: this is UTF-16; commands are read as UTF-8");
    EXPECT_EQ(refusal(std::string("\xFE\xFF\0e\0c", 6)),
              "a file: this is UTF-16; commands are read as UTF-8");
}

TEST(Items, may_be_long_but_not_without_end) {
    const std::string longest(tool::batch::longest_item_bytes, 'x');
    EXPECT_EQ(items(longest + "\n" + longest), (Texts{longest, longest}));
    EXPECT_EQ(refusal("a\n" + longest + "x\nb\n"),
              "a file, line 2: a command cannot be longer than 1 MiB");
    EXPECT_EQ(refusal(longest + "x"), "a file, line 1: a command cannot be longer than 1 MiB");
    EXPECT_EQ(refusal(longest + "x", ItemEnd::nul),
              "a file, item 1: a command cannot be longer than 1 MiB");
}

TEST(Items, without_end_are_refused_before_they_fill_the_memory) {
    ItemReader reader(tool::batch::open_input("/dev/zero"), ItemEnd::line, "command");
    EXPECT_THROW(run(read_all(reader)), InputError);
}

// -------------------------------------------------------------------------------------- commands

Texts commands(Texts arguments, const Texts& files = {}) {
    std::vector<Input> inputs;
    for (const std::string& file : files)
        inputs.push_back(tool::batch::input_of_text("a file", file));
    tool::batch::CommandFeed feed(std::move(arguments), std::move(inputs), ItemEnd::line);
    return run([](tool::batch::Feed& all) -> Coro<Texts> {
        Texts texts;
        for (;;) {
            std::optional<tool::batch::Command> command = co_await all.next();
            if (!command) co_return texts;
            texts.push_back(std::move(command->text));
            EXPECT_EQ(command->number, texts.size());
        }
    }(feed));
}

TEST(Commands, are_the_arguments_and_then_the_lines_of_every_file) {
    EXPECT_EQ(commands({"a", "b"}, {"c\nd", "e\n"}), (Texts{"a", "b", "c", "d", "e"}));
    EXPECT_EQ(commands({}, {"", "# nothing\n", "a"}), Texts{"a"});
    EXPECT_THROW(commands({"", "  "}), InputError) << "there is none left";
    EXPECT_THROW(commands({}, {"", "\n"}), InputError);
}

/// Whether a shell finds no mistake in the command.
bool shell_reads(const char* command) {
    ::setenv("ASYNCIO_TEST_COMMAND", command, 1);
    return std::system("/bin/sh -n -c \"$ASYNCIO_TEST_COMMAND\" 2> /dev/null") == 0;
}

TEST(Commands, with_an_open_quotation_are_told_from_all_others) {
    for (const char* open :
         {"'", "\"", "echo 'a", "ls 'it's'", "echo \"a", "echo \"a\\\"", "echo 'a\\'b'", "a#'b",
          "echo \\'a'", "echo \"'\" '", "echo '\"' \"", "echo \"#", "echo '#", "x # y\n'",
          "echo $x '", "echo \"$x", "echo \"$\" \"", "\r# it's"}) {
        EXPECT_NE(tool::batch::find_open_quotation(open), nullptr) << open;
        EXPECT_FALSE(shell_reads(open)) << open;
    }
    for (const char* whole :
         {"", "echo", "echo 'a'", "ls 'it'\\''s'", "echo \"it's\"", "echo '\"'", "# it's",
          "echo a # it's", "a;# it's", "(\n# it's\na)", "echo \\' \\\"", "echo \"a\\\\\"",
          "echo a\\", "echo \\\n# it's", "x # '\necho '\"'"}) {
        EXPECT_EQ(tool::batch::find_open_quotation(whole), nullptr) << whole;
        EXPECT_TRUE(shell_reads(whole)) << whole;
    }
    // What only a shell can read is left to it.
    for (const char* unknown : {"cat <<E\nit's\nE", "echo $'it\\'s'", "echo \"${x:-'}\"",
                                "echo ${x#'}", "echo `echo '`", "echo \"$(echo \"'\")\""}) {
        EXPECT_EQ(tool::batch::find_open_quotation(unknown), nullptr) << unknown;
    }
}

TEST(Commands, are_left_out_if_they_are_empty_or_a_comment) {
    EXPECT_EQ(commands({}, {"\n  \n# a comment\n\t# another\necho '# none'\n\n"}),
              Texts{"echo '# none'"});
    EXPECT_EQ(commands({"a", "", "b"}), (Texts{"a", "b"}));
}

TEST(Commands, of_several_lines_are_left_out_only_if_every_line_is_empty_or_a_comment) {
    const Texts kept{"# build\necho built", "\n\necho x", "  # a\n\t# b\n:", "#a\r\necho"};
    EXPECT_EQ(commands(kept), kept);
    EXPECT_EQ(commands({"# a\n# b", "\n", "#\n \n", "true"}), Texts{"true"});
}

TEST(Commands, keep_their_blanks_and_bytes_that_are_no_text) {
    EXPECT_EQ(commands({}, {"  echo a  \r\nprintf '\xFF\xFE'\n"}),
              (Texts{"  echo a  ", "printf '\xFF\xFE'"}));
}

TEST(Commands, in_a_file_that_cannot_be_read_are_refused) {
    EXPECT_THROW(tool::batch::open_input("/nosuchfile"), InputError);
    EXPECT_THROW(tool::batch::open_input("/tmp"), InputError) << "a directory";
}

// ---------------------------------------------------------------------------------------- values

/// Each command's values, with "|" between them.
Texts combined(const Lists& lists) {
    tool::batch::ValueFeed feed(lists, ItemEnd::line);
    return run([](tool::batch::Feed& all) -> Coro<Texts> {
        Texts rows;
        for (;;) {
            std::optional<tool::batch::Command> command = co_await all.next();
            if (!command) co_return rows;
            std::string row;
            for (const std::string& value : command->values) {
                row += (row.empty() ? "" : "|") + value;
            }
            rows.push_back(std::move(row));
        }
    }(feed));
}

tool::batch::ListWords list(Texts words) { return {.words = std::move(words)}; }
tool::batch::ListWords linked(Texts words) { return {.linked = true, .words = std::move(words)}; }

TEST(Values, of_several_lists_are_combined_each_with_each) {
    EXPECT_EQ(combined({list({"a", "b"})}), (Texts{"a", "b"}));
    EXPECT_EQ(combined({list({"a", "b"}), list({"1", "2"})}), (Texts{"a|1", "a|2", "b|1", "b|2"}));
    EXPECT_EQ(combined({list({"a", "b"}), list({"1"}), list({"x", "y"})}),
              (Texts{"a|1|x", "a|1|y", "b|1|x", "b|1|y"}));
    EXPECT_EQ(combined({list({"a", "b"}), list({})}), Texts{});
    EXPECT_EQ(combined({list({}), list({"a"})}), Texts{});
}

TEST(Values, of_linked_lists_go_in_step) {
    EXPECT_EQ(combined({list({"a", "b"}), linked({"1", "2"})}), (Texts{"a|1", "b|2"}));
    EXPECT_EQ(combined({list({"a", "b"}), linked({"1", "2", "3"})}), (Texts{"a|1", "b|2"}));
    EXPECT_EQ(combined({list({"a", "b"}), linked({"1"}), linked({"x", "y"})}), Texts{"a|1|x"});
    EXPECT_EQ(combined({list({"a", "b"}), linked({"1", "2"}), list({"x", "y"})}),
              (Texts{"a|1|x", "a|1|y", "b|2|x", "b|2|y"}));
    EXPECT_EQ(combined({list({"x", "y"}), list({"a", "b"}), linked({"1", "2"})}),
              (Texts{"x|a|1", "x|b|2", "y|a|1", "y|b|2"}));
}

TEST(Values, that_have_no_partner_are_spoken_of) {
    const auto remark = [](const Lists& lists) {
        tool::batch::ValueFeed feed(lists, ItemEnd::line);
        run([](tool::batch::Feed& all) -> Coro<> {
            for (;;) {
                const std::optional<tool::batch::Command> command = co_await all.next();
                if (!command) co_return;
            }
        }(feed));
        return feed.remark();
    };
    EXPECT_EQ(remark({list({"a", "b"}), linked({"1", "2"})}), "");
    EXPECT_NE(remark({list({"a", "b"}), linked({"1"})}), "");
    EXPECT_NE(remark({list({"a"}), linked({"1", "2"})}), "");
    EXPECT_NE(remark({list({"x", "y"}), list({"a"}), linked({"1", "2"})}), "");
}

TEST(Values, come_from_files_too) {
    const std::string name = testing::TempDir() + "asyncio-values";
    const int file = ::open(name.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    EXPECT_EQ(::write(file, "a\n\n# b\r\nlast", 12), 12);
    ::close(file);
    const tool::batch::ListWords in_file{.in_files = true, .words = {name}};
    EXPECT_EQ(combined({in_file}), (Texts{"a", "", "# b", "last"}));
    const tool::batch::ListWords twice{.in_files = true, .words = {name, name}};
    EXPECT_EQ(combined({twice}).size(), 16U) << "each file is a list";
    ::unlink(name.c_str());
}

// ------------------------------------------------------------------------------------------ tags

Blocks blocks_of(const Texts& pieces) {
    Blocks blocks;
    for (const std::string& piece : pieces) blocks.append(piece);
    return blocks;
}

std::string text_of(Blocks blocks) {
    std::string text;
    while (!blocks.empty()) text += blocks.take_front();
    return text;
}

TEST(Tag, stands_before_every_line) {
    EXPECT_EQ(text_of(tool::batch::tagged(blocks_of({"a\nb\n"}), "x\t")), "x\ta\nx\tb\n");
    EXPECT_EQ(text_of(tool::batch::tagged(blocks_of({"a\n\nb"}), "x\t")), "x\ta\nx\t\nx\tb");
    EXPECT_EQ(text_of(tool::batch::tagged(blocks_of({}), "x\t")), "");
}

TEST(Tag, does_not_care_where_one_block_ends_and_the_next_begins) {
    const std::string line(Blocks::block_bytes - 3, 'y');
    EXPECT_EQ(text_of(tool::batch::tagged(blocks_of({line, "zzzz\nnext\n", line + "\n"}), "x\t")),
              "x\t" + line + "zzzz\nx\tnext\nx\t" + line + "\n");
}

}  // namespace
