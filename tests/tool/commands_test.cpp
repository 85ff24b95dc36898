// Commands from a file: what is one, what is left out, and what is refused by name.

#include "batch/blocks.h"
#include "batch/commands.h"
#include "batch/printer.h"

#include <sstream>

#include <gtest/gtest.h>

namespace {

using batch::Blocks;
using batch::InputError;
using Commands = std::vector<std::string>;

Commands read(const std::string& text) {
    std::istringstream stream(text);
    return batch::read_commands(stream, "a file");
}

TEST(Commands, are_the_lines) {
    EXPECT_EQ(read("echo a\necho b\n"), (Commands{"echo a", "echo b"}));
    EXPECT_EQ(read("echo a\necho b"), (Commands{"echo a", "echo b"})) << "the last without newline";
    EXPECT_EQ(read(""), Commands{});
}

TEST(Commands, empty_lines_and_comments_are_left_out) {
    EXPECT_EQ(read("\n  \n# a comment\n\t# another\necho '# none'\n\n"), Commands{"echo '# none'"});
}

TEST(Commands, of_several_lines_are_left_out_only_if_every_line_is_empty_or_a_comment) {
    const Commands kept{"# build\necho built", "\n\necho x", "  # a\n\t# b\n:", "#a\r\necho"};
    EXPECT_EQ(batch::collect_commands(kept, {}), kept);
    EXPECT_EQ(batch::collect_commands({"# a\n# b", "\n", "#\n \n", "true"}, {}), Commands{"true"});
}

TEST(Commands, have_no_byte_order_mark_before_the_first) {
    EXPECT_EQ(read("\xEF\xBB\xBF"
                   "echo a\necho b\n"),
              (Commands{"echo a", "echo b"}));
    EXPECT_EQ(read("\xEF\xBB\xBF# comment\r\necho b\r\n"), Commands{"echo b"});
    EXPECT_EQ(read("\xEF\xBB\xBF"), Commands{}) << "nothing else";
    EXPECT_EQ(read("echo a\n\xEF\xBB\xBF"
                   "echo b\n"),
              (Commands{"echo a", "\xEF\xBB\xBF"
                                  "echo b"}))
        << "elsewhere it is what somebody has written";
}

TEST(Commands, keep_their_blanks_and_lose_a_carriage_return) {
    EXPECT_EQ(read("  echo a  \r\n"), Commands{"  echo a  "});
}

TEST(Commands, keep_bytes_that_are_no_text) {
    EXPECT_EQ(read("printf '\xFF\xFE'\n"), Commands{"printf '\xFF\xFE'"});
}

TEST(Commands, with_a_zero_byte_are_refused_with_the_number_of_the_line) {
    try {
        read(std::string("echo a\necho \0 b\n", 16));
        FAIL();
    } catch (const InputError& error) {
        EXPECT_STREQ(error.what(), "a file, line 2: a command cannot hold a NUL byte");
    }
}

TEST(Commands, come_from_the_arguments_first_and_then_from_the_file) {
    EXPECT_THROW(batch::collect_commands({"true"}, {"/nosuchfile"}), InputError);
    EXPECT_EQ(batch::collect_commands({"a", "", "b"}, {}), (Commands{"a", "b"}));
    EXPECT_THROW(batch::collect_commands({"", "  "}, {}), InputError) << "there is none left";
}

Blocks blocks_of(const Commands& pieces) {
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
    EXPECT_EQ(text_of(batch::tagged(blocks_of({"a\nb\n"}), "x\t")), "x\ta\nx\tb\n");
    EXPECT_EQ(text_of(batch::tagged(blocks_of({"a\n\nb"}), "x\t")), "x\ta\nx\t\nx\tb");
    EXPECT_EQ(text_of(batch::tagged(blocks_of({}), "x\t")), "");
}

TEST(Tag, does_not_care_where_one_block_ends_and_the_next_begins) {
    const std::string line(Blocks::block_bytes - 3, 'y');
    EXPECT_EQ(text_of(batch::tagged(blocks_of({line, "zzzz\nnext\n", line + "\n"}), "x\t")),
              "x\t" + line + "zzzz\nx\tnext\nx\t" + line + "\n");
}

}  // namespace
