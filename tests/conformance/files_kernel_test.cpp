// Goal: what only real files and real pipes can show. Calls that would hold up the thread do not,
// and the numbers of descriptors keep clear of the standard streams. Method: named pipes and
// descriptors in blocking mode, on which a plain call would hang the test.

#include "conformance/harness.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

/// Real files, on the back-ends that use the kernel.
class RealFiles : public Files {
protected:
    Asked possible(OperationKind kind, int fd, std::span<const char> bytes) {
        return Asked({.kind = kind,
                      .fd = fd,
                      .blocking = Blocking::possible,
                      .buffer = const_cast<char*>(bytes.data()),
                      .size = bytes.size()});
    }
};

INSTANTIATE_TEST_SUITE_P(, RealFiles,
                         testing::Values(Tested::io_uring, Tested::io_uring_plain, Tested::epoll),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(RealFiles, an_open_of_a_named_pipe_does_not_wait_for_the_other_end) {
    const char* name = path("pipe");
    ASSERT_EQ(::mkfifo(name, 0600), 0);
    EXPECT_EQ(open(name, O_WRONLY), -ENXIO) << "no reader";
    const int reader = opened(name, O_RDONLY);
    const int writer = opened(name, O_WRONLY);
    char byte = 0;
    for (int round = 0; round < 20; ++round) {
        Asked reading = possible(OperationKind::read, reader, {&byte, 1});
        ASSERT_TRUE(driver().submit(reading));
        if (round % 2 == 0) driver().wait_out(soon());
        ASSERT_TRUE(driver().is_in_flight(reading));
        Asked writing = possible(OperationKind::write, writer, std::string_view("x"));
        EXPECT_EQ(driver().run(writing), 1);
        driver().finish(reading);
        EXPECT_EQ(reading.result, 1);
    }
}

TEST_P(RealFiles, a_read_of_a_named_pipe_ends_by_a_cancel_and_by_a_close) {
    const char* name = path("pipe");
    ASSERT_EQ(::mkfifo(name, 0600), 0);
    for (int round = 0; round < 20; ++round) {
        const int reader = opened(name, O_RDONLY);
        const int writer = opened(name, O_WRONLY);
        char byte = 0;
        Asked reading = possible(OperationKind::read, reader, {&byte, 1});
        ASSERT_TRUE(driver().submit(reading));
        if (round % 3 == 0) driver().wait_out(soon());
        if (round % 2 == 0) {
            driver().cancel(reading);
        } else {
            EXPECT_EQ(close(reader), 0);
        }
        driver().finish(reading);
        EXPECT_EQ(reading.result, -ECANCELED);
        if (round % 2 == 0) {
            EXPECT_EQ(close(reader), 0);
        }
        EXPECT_EQ(close(writer), 0);
    }
}

TEST_P(RealFiles, a_read_of_a_descriptor_in_blocking_mode_does_not_hold_up_the_loop) {
    auto [reader, writer] = real_pipe(O_CLOEXEC);
    char byte = 0;
    Read reading(reader.get(), std::span(&byte, 1));
    for (int round = 0; round < 50; ++round) {
        ASSERT_TRUE(driver().submit(reading));
        if (round % 2 == 0) driver().wait(internal::at_once);
        ASSERT_EQ(::write(writer.get(), "x", 1), 1);
        driver().finish(reading);
        ASSERT_EQ(reading.result, 1);
        ASSERT_EQ(byte, 'x');
    }
}

TEST_P(RealFiles, a_close_waits_for_a_thread_that_uses_the_descriptor_and_the_loop_does_not) {
    auto [reader, writer] = real_pipe(O_CLOEXEC);
    char byte = 0;
    Read reading(reader.get(), std::span(&byte, 1));
    ASSERT_TRUE(driver().submit(reading));
    // Time for the thread to begin, if the back-end uses one.
    driver().wait_out(backend().now() + 20ms);
    Close closing(reader.release());
    const bool waits = driver().submit(closing);
    if (waits) {
        driver().wait_out(backend().now() + 20ms);
        EXPECT_TRUE(driver().is_in_flight(closing)) << "the number is not free yet";
    }
    ASSERT_EQ(::write(writer.get(), "x", 1), 1);
    driver().finish_all();
    EXPECT_EQ(closing.result, 0);
    if (waits) {
        EXPECT_EQ(reading.result, 1) << "the thread had begun, and its effect is not dropped";
    }
}

TEST_P(RealFiles, a_new_descriptor_is_never_a_standard_stream) {
    make_file(path("a"), "abc");
    const Fd kept(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10));
    ::close(STDIN_FILENO);
    const int opened_from_cache = open(path("a"), O_RDONLY);
    const int made = open(path("b"), O_RDWR | O_CREAT);
    EXPECT_EQ(::fcntl(STDIN_FILENO, F_GETFD), -1) << "the number is free again";
    if (kept) ::dup2(kept.get(), STDIN_FILENO);
    EXPECT_GT(opened_from_cache, 2);
    EXPECT_GT(made, 2);
    for (const int fd : {opened_from_cache, made}) {
        EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
        EXPECT_EQ(close(fd), 0);
    }
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
