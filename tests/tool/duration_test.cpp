// Durations: everything the help promises is read, and nothing else is.

#include "terminal/duration.h"

#include <chrono>

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using tool::parse_duration;

TEST(Duration, a_number_is_seconds) {
    EXPECT_EQ(parse_duration("2"), 2s);
    EXPECT_EQ(parse_duration("0"), 0s);
    EXPECT_EQ(parse_duration("2.5"), 2500ms);
    EXPECT_EQ(parse_duration(".5"), 500ms);
    EXPECT_EQ(parse_duration("0.0000000001"), 1ns) << "zero would be no limit at all";
    EXPECT_EQ(parse_duration("0.0001us"), 1ns);
    EXPECT_EQ(parse_duration("0.000"), 0s);
}

TEST(Duration, a_unit_can_follow) {
    EXPECT_EQ(parse_duration("500ms"), 500ms);
    EXPECT_EQ(parse_duration("250us"), 250us);
    EXPECT_EQ(parse_duration("2.5s"), 2500ms);
    EXPECT_EQ(parse_duration("3m"), 3min);
    EXPECT_EQ(parse_duration("1h"), 1h);
    EXPECT_EQ(parse_duration("2d"), 48h);
}

TEST(Duration, parts_add_up_from_the_largest_to_the_smallest) {
    EXPECT_EQ(parse_duration("1m30s"), 90s);
    EXPECT_EQ(parse_duration("1h2m3s4ms"), 1h + 2min + 3s + 4ms);
}

TEST(Duration, what_cannot_be_read_is_nothing) {
    for (const char* text :
         {"",     "abc",  "s",     "-1", "+1",  "1x",  "1 s", " 1",   "1s ", "1m30", "30s1m",
          "1s1s", "1..2", "1.2.3", ".",  "inf", "nan", "1e3", "0x10", "1,5", "1S"}) {
        EXPECT_EQ(parse_duration(text), std::nullopt) << text;
    }
}

TEST(Duration, what_would_not_fit_is_nothing) {
    EXPECT_EQ(parse_duration("99999999999999999999"), std::nullopt);
    EXPECT_EQ(parse_duration("1000000d"), std::nullopt);
    EXPECT_EQ(parse_duration(std::string(400, '9')), std::nullopt);
}

}  // namespace
