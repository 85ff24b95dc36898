// The table as a drawing, without a batch: widths, the sides of its columns, and what is cut.

#include "terminal/table.h"

#include <clocale>

#include <gtest/gtest.h>

namespace {

using tool::Charset;
using tool::draw_table;
using tool::TableColumn;

constexpr Charset ascii = Charset::ascii;

TEST(Drawing, makes_every_column_as_wide_as_its_widest_text) {
    const TableColumn columns[] = {{.title = "A"}, {.title = "Title"}, {.title = "C"}};
    EXPECT_EQ(draw_table(columns, {{"long text", "x", "y"}, {"z", "", "longer"}}, 80, ascii),
              "A          Title  C     \n"
              "long text  x      y     \n"
              "z                 longer\n");
}

TEST(Drawing, moves_texts_to_the_right_where_a_column_says_so) {
    const TableColumn columns[] = {
        {.title = "Name"}, {.title = "Size", .align = TableColumn::Align::right, .least_width = 6}};
    EXPECT_EQ(draw_table(columns, {{"a", "1"}, {"b", "12345"}}, 80, ascii), "Name    Size\n"
                                                                            "a          1\n"
                                                                            "b      12345\n");
    EXPECT_EQ(draw_table(columns, {{"a", "12345678"}, {"b", "1"}}, 80, ascii), "Name      Size\n"
                                                                               "a     12345678\n"
                                                                               "b            1\n");
}

TEST(Drawing, cuts_only_the_column_that_can_be_cut) {
    const TableColumn columns[] = {{.title = "Name", .can_be_cut_to = 5}, {.title = "State"}};
    const std::vector<tool::TableRow> rows{{"abcdefghijkl", "complete"}};
    EXPECT_EQ(draw_table(columns, rows, 22, ascii), "Name          State   \n"
                                                    "abcdefghijkl  complete\n");
    EXPECT_EQ(draw_table(columns, rows, 18, ascii), "Name      State   \n"
                                                    "abcde...  complete\n");
    EXPECT_EQ(draw_table(columns, rows, 3, ascii), "Name   State   \n"
                                                   "ab...  complete\n");
}

TEST(Drawing, shows_no_control_characters_of_the_column_that_can_be_cut) {
    const TableColumn columns[] = {{.title = "Name", .can_be_cut_to = 5}};
    EXPECT_EQ(draw_table(columns, {{"a\nb\x1b"}}, 80, ascii), "Name\na b \n");
}

TEST(Drawing, measures_columns_and_not_bytes) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
    const TableColumn columns[] = {{.title = "N", .align = TableColumn::Align::right},
                                   {.title = "M"}};
    EXPECT_EQ(draw_table(columns, {{"日本", "x"}, {"abcde", "y"}}, 80, Charset::utf8),
              "    N  M\n"
              " 日本  x\n"
              "abcde  y\n");
    std::setlocale(LC_CTYPE, "C");
}

}  // namespace
