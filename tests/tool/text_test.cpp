// Commands as they are shown: on one line, no wider than there is room, whatever bytes they hold.

#include "terminal/text.h"

#include <clocale>

#include <gtest/gtest.h>

namespace {

using tool::Charset;
using tool::columns;
using tool::shortened;
using tool::valid_utf8;

constexpr Charset utf8 = Charset::utf8;
constexpr Charset ascii = Charset::ascii;

class Text : public testing::Test {
protected:
    // How wide a character is, the C library knows by the locale.
    void SetUp() override { std::setlocale(LC_CTYPE, "C.UTF-8"); }
    void TearDown() override { std::setlocale(LC_CTYPE, "C"); }
};

TEST_F(Text, that_fits_is_shown_whole) {
    EXPECT_EQ(shortened("sleep 1", 7, utf8), "sleep 1");
    EXPECT_EQ(shortened("", 7, utf8), "");
}

TEST_F(Text, that_does_not_fit_ends_in_an_ellipsis) {
    EXPECT_EQ(shortened("sleep 100", 7, utf8), "sleep …");
    EXPECT_EQ(shortened("sleep 100", 7, ascii), "slee...");
}

TEST_F(Text, never_takes_more_columns_than_there_are) {
    const std::string text = "日本語 e\xCC\x81 ä abc";
    for (const Charset charset : {utf8, ascii}) {
        for (std::size_t limit = 3; limit < 30; ++limit) {
            EXPECT_LE(columns(shortened(text, limit, charset), charset), limit);
        }
    }
}

TEST_F(Text, wide_and_combining_characters_are_counted_as_they_are_shown) {
    EXPECT_EQ(columns("日本", utf8), 4U);
    EXPECT_EQ(columns("e\xCC\x81", utf8), 1U);
    EXPECT_EQ(columns("ä", utf8), 1U);
}

TEST_F(Text, holds_no_control_characters) {
    EXPECT_EQ(shortened("a\nb\tc\x1b[31m\x7f\xC2\x9B"
                        "d",
                        80, utf8),
              "a b c [31m  d");
}

TEST_F(Text, that_is_no_text_becomes_question_marks) {
    EXPECT_EQ(shortened("\xFF\xFE ok \xC3", 80, utf8), "?? ok ?");
    EXPECT_EQ(shortened("ä", 80, ascii), "?");
}

TEST_F(Text, invalid_utf8_is_replaced_byte_by_byte) {
    const std::string mark = "\xEF\xBF\xBD";
    EXPECT_EQ(valid_utf8("ä日𝄞 ok"), "ä日𝄞 ok");
    EXPECT_EQ(valid_utf8("a\xFFz"), "a" + mark + "z");
    EXPECT_EQ(valid_utf8("\xC0\xAF"), mark + mark) << "written longer than need be";
    EXPECT_EQ(valid_utf8("\xED\xA0\x80"), mark + mark + mark) << "half of a pair";
    EXPECT_EQ(valid_utf8("\xF4\x90\x80\x80"), mark + mark + mark + mark) << "beyond the last";
    EXPECT_EQ(valid_utf8("\xE6\x97"), mark + mark) << "cut off";
}

TEST_F(Text, is_padded_by_columns_not_by_bytes) {
    EXPECT_EQ(tool::padded("日", 4, utf8), "日  ");
    EXPECT_EQ(tool::padded("abcd", 2, utf8), "abcd");
}

}  // namespace
