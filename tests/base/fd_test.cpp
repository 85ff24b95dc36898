// Goal: an Fd closes its descriptor once, when its last owner goes, and leaves errno alone.

#include <asyncio/lowlevel/fd.h>

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using asyncio::lowlevel::Fd;

int open_number() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool is_open(int number) { return ::fcntl(number, F_GETFD) >= 0; }

TEST(fd, closes_when_it_goes) {
    const int number = open_number();
    {
        const Fd fd(number);
        EXPECT_TRUE(fd);
        EXPECT_EQ(fd.get(), number);
        EXPECT_TRUE(is_open(number));
    }
    EXPECT_FALSE(is_open(number));
}

TEST(fd, moving_passes_the_duty_to_close) {
    const int number = open_number();
    Fd first(number);
    Fd second = std::move(first);
    EXPECT_FALSE(first);
    EXPECT_TRUE(is_open(number));
    const int other = open_number();
    second = Fd(other);
    EXPECT_FALSE(is_open(number));
    EXPECT_TRUE(is_open(other));
    Fd& same = second;
    second = std::move(same);
    EXPECT_TRUE(is_open(other));
}

TEST(fd, release_gives_the_descriptor_away_open) {
    Fd fd(open_number());
    const int number = fd.release();
    EXPECT_FALSE(fd);
    EXPECT_TRUE(is_open(number));
    ::close(number);
}

TEST(fd, reset_is_harmless_twice_and_keeps_errno) {
    Fd fd(open_number());
    errno = EDOM;
    fd.reset();
    fd.reset();
    EXPECT_EQ(errno, EDOM);
    Fd bad(1 << 29);
    bad.reset();
    EXPECT_EQ(errno, EDOM);
}

}  // namespace
