// Goal: the operations of files do what the calls of the manual do, on every back-end, the
// simulated file system included. Method: a temporary folder, or the folder /tmp of the simulated
// world, and one call after the other. What happens when calls meet is in files_cancel_test.cpp.

#include "conformance/harness.h"

#include <array>
#include <cerrno>

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

using Names = std::vector<std::string>;

// --- Bytes ---------------------------------------------------------------------------------------

TEST_P(Files, what_is_written_at_a_place_is_read_back_there) {
    const int fd = opened(path("a"), O_RDWR | O_CREAT);
    ASSERT_EQ(pwrite(fd, "x", 9), 1);
    ASSERT_EQ(pwrite(fd, "y", 0), 1);
    EXPECT_EQ(content(path("a")), std::string("y\0\0\0\0\0\0\0\0x", 10));
    std::array<char, 4> bytes{};
    EXPECT_EQ(pread(fd, std::span(bytes).first(1), 9), 1);
    EXPECT_EQ(bytes[0], 'x');
    EXPECT_EQ(pread(fd, bytes, 10), 0) << "the end of the file";
    EXPECT_EQ(pread(fd, bytes, 1'000'000), 0);
    EXPECT_EQ(pread(fd, {}, 0), 0);
    EXPECT_EQ(pread(fd, bytes, -1), -EINVAL);
    EXPECT_EQ(pwrite(fd, "z", -1), -EINVAL);
}

TEST_P(Files, read_and_write_move_the_position) {
    const int fd = opened(path("a"), O_RDWR | O_CREAT);
    for (const char* part : {"abc", "def"}) {
        Write writing(fd, std::string_view(part));
        writing.blocking = Blocking::possible;
        int moved = driver().run(writing);
        while (moved > 0 && moved < 3) {
            Write rest(fd, std::string_view(part + moved));
            rest.blocking = Blocking::possible;
            moved += driver().run(rest);
        }
        ASSERT_EQ(moved, 3);
    }
    char byte = 0;
    Read at_end(fd, {&byte, 1});
    at_end.blocking = Blocking::possible;
    EXPECT_EQ(driver().run(at_end), 0);
    const int again = opened(path("a"), O_RDONLY);
    std::string text;
    Read reading(again, {&byte, 1});
    for (reading.blocking = Blocking::possible; driver().run(reading) == 1;) text += byte;
    EXPECT_EQ(text, "abcdef");
}

TEST_P(Files, appending_goes_to_the_end_whatever_the_place) {
    make_file(path("a"), "abc");
    const int fd = opened(path("a"), O_WRONLY | O_APPEND);
    Write writing(fd, std::string_view("d"));
    writing.blocking = Blocking::possible;
    EXPECT_EQ(driver().run(writing), 1);
    EXPECT_EQ(pwrite(fd, "e", 0), 1);
    EXPECT_EQ(content(path("a")), "abcde");
}

TEST_P(Files, bytes_that_are_not_in_memory_are_read_all_the_same) {
    const std::string all(300'000, 'b');
    make_file(path("a"), all);
    const int fd = opened(path("a"), O_RDONLY);
    std::string got;
    std::string part(100'000, '.');
    for (int count = 1; count > 0; got.append(part.data(), static_cast<std::size_t>(count))) {
        // Has an effect on a real file only, and asks the kernel to drop what it can.
        static_cast<void>(::fdatasync(fd));
        static_cast<void>(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
        count = pread(fd, part, static_cast<std::int64_t>(got.size()));
        ASSERT_GE(count, 0);
    }
    EXPECT_TRUE(got == all);
}

TEST_P(Files, the_length_is_changed_and_told) {
    const int fd = opened(path("a"), O_RDWR | O_CREAT);
    const auto truncate = [&](std::int64_t length) {
        return run({.kind = OperationKind::ftruncate, .fd = fd, .offset = length});
    };
    EXPECT_EQ(truncate(5), 0);
    struct statx about{};
    ASSERT_EQ(stat(path("a"), about), 0);
    EXPECT_EQ(about.stx_size, 5u);
    EXPECT_TRUE(S_ISREG(about.stx_mode));
    EXPECT_EQ(content(path("a")), std::string(5, '\0'));
    ASSERT_EQ(pwrite(fd, "x", 4), 1);
    EXPECT_EQ(truncate(4), 0);
    EXPECT_EQ(truncate(6), 0);
    EXPECT_EQ(content(path("a")), std::string(6, '\0')) << "what was cut off does not come back";
    EXPECT_EQ(truncate(-1), -EINVAL);
    const int reading = opened(path("a"), O_RDONLY);
    EXPECT_EQ(run({.kind = OperationKind::ftruncate, .fd = reading, .offset = 0}), -EINVAL);
}

TEST_P(Files, a_file_is_synchronised_with_and_without_its_attributes) {
    const int fd = opened(path("a"), O_RDWR | O_CREAT);
    ASSERT_EQ(pwrite(fd, "x", 0), 1);
    EXPECT_EQ(run({.kind = OperationKind::fsync, .fd = fd}), 0);
    EXPECT_EQ(run({.kind = OperationKind::fsync, .fd = fd, .flags = 1}), 0);
    const int folder = opened(path(""), O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(run({.kind = OperationKind::fsync, .fd = folder}), 0);
}

TEST_P(Files, the_way_of_opening_is_kept) {
    make_file(path("a"), "abc");
    const int reading = opened(path("a"), O_RDONLY);
    EXPECT_EQ(pwrite(reading, "x", 0), -EBADF);
    const int writing = opened(path("a"), O_WRONLY);
    char byte = 0;
    EXPECT_EQ(pread(writing, {&byte, 1}, 0), -EBADF);
    EXPECT_EQ(content(path("a")), "abc");
    opened(path("a"), O_WRONLY | O_TRUNC);
    EXPECT_EQ(content(path("a")), "");
}

TEST_P(Files, a_closed_number_is_refused) {
    const int fd = opened(path("a"), O_RDWR | O_CREAT);
    ASSERT_EQ(close(fd), 0);
    char byte = 0;
    EXPECT_EQ(pread(fd, {&byte, 1}, 0), -EBADF);
    EXPECT_EQ(pwrite(fd, "x", 0), -EBADF);
    EXPECT_EQ(run({.kind = OperationKind::fsync, .fd = fd}), -EBADF);
    EXPECT_EQ(run({.kind = OperationKind::ftruncate, .fd = fd}), -EBADF);
    EXPECT_EQ(run({.kind = OperationKind::getdents, .fd = fd, .buffer = &byte, .size = 1}), -EBADF);
}

TEST_P(Files, a_file_is_always_ready) {
    const int fd = opened(path("a"), O_RDWR | O_CREAT);
    EXPECT_EQ(run({.kind = OperationKind::poll, .fd = fd, .events = POLLIN | POLLOUT}),
              POLLIN | POLLOUT);
    EXPECT_EQ(run({.kind = OperationKind::poll, .fd = fd, .events = POLLPRI}), -EPERM);
}

TEST_P(Files, a_read_without_a_buffer_gets_the_bytes_of_a_file) {
    const std::string all(150'000, 'r');
    make_file(path("a"), all);
    const int fd = opened(path("a"), O_RDONLY);
    struct Receive : Operation {
        std::string text;
    } reading;
    static_cast<OperationRequest&>(reading) = {
        .kind = OperationKind::read, .fd = fd, .blocking = Blocking::possible, .size = 1 << 20};
    reading.receive = [](Operation& operation, std::span<const char> bytes) noexcept {
        static_cast<Receive&>(operation).text.append(bytes.data(), bytes.size());
    };
    for (int count = 1; count > 0;) {
        static_cast<void>(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
        count = driver().run(reading);
        ASSERT_GE(count, 0);
    }
    EXPECT_TRUE(reading.text == all);
}

TEST_P(Files, a_file_is_sent_into_a_pipe_from_a_place_or_from_its_position) {
    std::string all;
    for (int i = 0; i < 2000; ++i) all += std::to_string(i);
    make_file(path("a"), all);
    const int fd = opened(path("a"), O_RDONLY);
    const Pipe pipe = open_pipe();
    const auto send = [&](std::int64_t offset, std::size_t size) {
        return run({.kind = OperationKind::sendfile,
                    .fd = pipe.writer,
                    .second_fd = fd,
                    .size = size,
                    .offset = offset});
    };
    std::string sent;
    while (sent.size() < all.size()) {
        const int count = send(static_cast<std::int64_t>(sent.size()), 3000);
        ASSERT_GT(count, 0);
        sent += read_exactly(pipe.reader, static_cast<std::size_t>(count));
    }
    EXPECT_TRUE(sent == all);
    EXPECT_EQ(send(static_cast<std::int64_t>(all.size()), 10), 0) << "the end of the file";
    const int count = send(-1, 4);
    ASSERT_GT(count, 0);
    const auto moved = static_cast<std::size_t>(count);
    EXPECT_EQ(read_exactly(pipe.reader, moved), all.substr(0, moved));
    char byte = 0;
    Read next(fd, {&byte, 1});
    EXPECT_EQ(driver().run(next), 1);
    EXPECT_EQ(byte, all[moved]) << "the position has moved";
    EXPECT_EQ(run({.kind = OperationKind::sendfile,
                   .fd = pipe.writer,
                   .second_fd = opened(path("a"), O_WRONLY),
                   .size = 1,
                   .offset = 0}),
              -EBADF);
}

TEST_P(Files, a_file_waits_for_room_in_the_pipe_that_it_is_sent_into) {
    make_file(path("a"), "abc");
    const int fd = opened(path("a"), O_RDONLY);
    const Pipe pipe = open_pipe();
    const std::size_t filled = fill(pipe.writer);
    Asked sending({.kind = OperationKind::sendfile,
                   .fd = pipe.writer,
                   .second_fd = fd,
                   .size = 3,
                   .offset = 0});
    ASSERT_TRUE(driver().submit(sending));
    driver().wait_out(soon());
    ASSERT_TRUE(driver().is_in_flight(sending));
    drain(pipe.reader, filled);
    driver().finish(sending);
    ASSERT_GT(sending.result, 0);
    const auto sent = static_cast<std::size_t>(sending.result);
    EXPECT_EQ(read_exactly(pipe.reader, sent), std::string("abc").substr(0, sent));
}

// --- Names ---------------------------------------------------------------------------------------

TEST_P(Files, an_open_that_cannot_be_says_why) {
    make_file(path("a"), "abc");
    ASSERT_EQ(mkdir(path("folder")), 0);
    EXPECT_EQ(open(path("b"), O_RDONLY), -ENOENT);
    EXPECT_EQ(open(path("b/c"), O_RDWR | O_CREAT), -ENOENT);
    EXPECT_EQ(open(path("a/c"), O_RDONLY), -ENOTDIR);
    EXPECT_EQ(open(path("a/"), O_RDONLY), -ENOTDIR);
    EXPECT_EQ(open(path("a"), O_RDONLY | O_DIRECTORY), -ENOTDIR);
    EXPECT_EQ(open(path("a"), O_RDWR | O_CREAT | O_EXCL), -EEXIST);
    EXPECT_EQ(open(path("folder"), O_RDWR), -EISDIR);
    EXPECT_EQ(open(path("folder"), O_RDWR | O_CREAT), -EISDIR);
    EXPECT_EQ(open("", O_RDONLY), -ENOENT);
    EXPECT_EQ(open(path(std::string(300, 'n')), O_RDONLY), -ENAMETOOLONG);
    EXPECT_EQ(open(std::string(5000, '/').c_str(), O_RDONLY), -ENAMETOOLONG);
    EXPECT_EQ(content(path("a")), "abc");
}

TEST_P(Files, dots_and_double_slashes_mean_what_they_mean) {
    ASSERT_EQ(mkdir(path("folder")), 0);
    make_file(path("folder/a"), "abc");
    EXPECT_EQ(content(path("folder/./a")), "abc");
    EXPECT_EQ(content(path("folder//a")), "abc");
    EXPECT_EQ(content(path("folder/../folder/a")), "abc");
    EXPECT_EQ(content(path("nothing/../folder/a")), "error " + std::to_string(ENOENT));
    EXPECT_EQ(open(path("folder/a/.."), O_RDONLY), -ENOTDIR);
    EXPECT_TRUE(exists("/.."));
    EXPECT_TRUE(exists("//"));
}

TEST_P(Files, a_path_may_start_at_a_folder) {
    ASSERT_EQ(mkdir(path("folder")), 0);
    make_file(path("folder/a"), "abc");
    const int folder = opened(path("folder"), O_RDONLY | O_DIRECTORY);
    char name[] = "a";
    const int fd =
        run({.kind = OperationKind::open, .fd = folder, .flags = O_RDONLY, .buffer = name});
    ASSERT_GT(fd, 2);
    open_.push_back(fd);
    char byte = 0;
    EXPECT_EQ(pread(fd, {&byte, 1}, 0), 1);
    char to[] = "b";
    EXPECT_EQ(run({.kind = OperationKind::rename,
                   .fd = folder,
                   .second_fd = folder,
                   .buffer = name,
                   .second = to}),
              0);
    EXPECT_EQ(names_in(path("folder")), Names{"b"});
    EXPECT_EQ(run({.kind = OperationKind::unlink, .fd = fd, .buffer = to}), -ENOTDIR);
    EXPECT_EQ(run({.kind = OperationKind::unlink, .fd = folder, .buffer = to}), 0);
    EXPECT_EQ(names_in(path("folder")), Names{});
}

TEST_P(Files, an_open_file_outlives_its_name) {
    make_file(path("a"), "abc");
    const int fd = opened(path("a"), O_RDWR);
    EXPECT_EQ(unlink(path("a")), 0);
    EXPECT_FALSE(exists(path("a")));
    EXPECT_EQ(unlink(path("a")), -ENOENT);
    std::array<char, 2> bytes{};
    EXPECT_EQ(pread(fd, std::span(bytes).first(1), 1), 1);
    EXPECT_EQ(bytes[0], 'b');
    make_file(path("a"), "other");
    EXPECT_EQ(pread(fd, std::span(bytes).first(1), 1), 1);
    EXPECT_EQ(bytes[0], 'b');
    struct statx about{};
    char nothing[] = "";
    EXPECT_EQ(run({.kind = OperationKind::statx,
                   .fd = fd,
                   .flags = AT_EMPTY_PATH,
                   .buffer = nothing,
                   .size = STATX_BASIC_STATS,
                   .second = &about}),
              0);
    EXPECT_EQ(about.stx_nlink, 0u);
    EXPECT_EQ(about.stx_size, 3u);
}

TEST_P(Files, folders_are_made_and_removed_when_they_are_empty) {
    EXPECT_EQ(mkdir(path("folder")), 0);
    EXPECT_EQ(mkdir(path("folder")), -EEXIST);
    EXPECT_EQ(mkdir(path("nothing/folder")), -ENOENT);
    EXPECT_EQ(mkdir(path("folder/inner/")), 0);
    struct statx about{};
    ASSERT_EQ(stat(path("folder"), about), 0);
    EXPECT_TRUE(S_ISDIR(about.stx_mode));
    EXPECT_EQ(about.stx_mode & 0777, 0700);
    EXPECT_EQ(unlink(path("folder")), -EISDIR);
    EXPECT_EQ(unlink(path("folder"), AT_REMOVEDIR), -ENOTEMPTY);
    EXPECT_EQ(unlink(path("folder/inner"), AT_REMOVEDIR), 0);
    EXPECT_EQ(unlink(path("folder"), AT_REMOVEDIR), 0);
    EXPECT_EQ(unlink(path("folder"), AT_REMOVEDIR), -ENOENT);
    make_file(path("a"), "");
    EXPECT_EQ(unlink(path("a"), AT_REMOVEDIR), -ENOTDIR);
    EXPECT_EQ(unlink(path("a/")), -ENOTDIR);
    EXPECT_EQ(unlink(path("a")), 0);
}

TEST_P(Files, a_folder_that_was_removed_holds_nothing_new) {
    ASSERT_EQ(mkdir(path("folder")), 0);
    const int folder = opened(path("folder"), O_RDONLY | O_DIRECTORY);
    ASSERT_EQ(unlink(path("folder"), AT_REMOVEDIR), 0);
    char name[] = "a";
    EXPECT_EQ(run({.kind = OperationKind::open,
                   .fd = folder,
                   .flags = O_RDWR | O_CREAT,
                   .buffer = name,
                   .size = 0600}),
              -ENOENT);
}

TEST_P(Files, a_folder_lists_its_names) {
    Names names;
    for (int i = 10; i < 60; ++i) {
        names.push_back("name" + std::to_string(i));
        make_file(path(names.back()), "");
    }
    EXPECT_EQ(names_in(path("")), names);
    const int fd = opened(path("name10"), O_RDONLY);
    alignas(dirent64) char records[1024];
    EXPECT_EQ(
        run({.kind = OperationKind::getdents, .fd = fd, .buffer = records, .size = sizeof records}),
        -ENOTDIR);
    const int folder = opened(path(""), O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(run({.kind = OperationKind::getdents, .fd = folder, .buffer = records, .size = 4}),
              -EINVAL);
    char byte = 0;
    EXPECT_EQ(pread(folder, {&byte, 1}, 0), -EISDIR);
}

TEST_P(Files, a_record_of_a_folder_tells_the_type) {
    ASSERT_EQ(mkdir(path("outer")), 0);
    ASSERT_EQ(mkdir(path("outer/folder")), 0);
    make_file(path("outer/file"), "");
    const int fd = opened(path("outer"), O_RDONLY | O_DIRECTORY);
    alignas(dirent64) char records[4096];
    const int size =
        run({.kind = OperationKind::getdents, .fd = fd, .buffer = records, .size = sizeof records});
    ASSERT_GT(size, 0);
    int seen = 0;
    for (int at = 0; at < size;) {
        const auto* record = reinterpret_cast<const dirent64*>(records + at);
        const std::string name = record->d_name;
        EXPECT_EQ(record->d_type, name == "file" ? DT_REG : DT_DIR) << name;
        EXPECT_NE(record->d_ino, 0u);
        ++seen;
        at += record->d_reclen;
    }
    EXPECT_EQ(seen, 4);
}

TEST_P(Files, a_rename_replaces_what_it_may_replace) {
    make_file(path("a"), "abc");
    make_file(path("b"), "old");
    const int old = opened(path("b"), O_RDONLY);
    EXPECT_EQ(rename(path("a"), path("b")), 0);
    EXPECT_EQ(content(path("b")), "abc");
    EXPECT_FALSE(exists(path("a")));
    char byte = 0;
    EXPECT_EQ(pread(old, {&byte, 1}, 0), 1);
    EXPECT_EQ(byte, 'o') << "an open file outlives its name";
    struct statx about{};
    char nothing[] = "";
    EXPECT_EQ(run({.kind = OperationKind::statx,
                   .fd = old,
                   .flags = AT_EMPTY_PATH,
                   .buffer = nothing,
                   .size = STATX_BASIC_STATS,
                   .second = &about}),
              0);
    EXPECT_EQ(about.stx_nlink, 0u);
    EXPECT_EQ(rename(path("a"), path("c")), -ENOENT);
    EXPECT_EQ(rename(path("b"), path("b")), 0);
    make_file(path("a"), "");
    EXPECT_EQ(rename(path("a"), path("b"), RENAME_NOREPLACE), -EEXIST);
    EXPECT_EQ(rename(path("a"), path("c"), RENAME_NOREPLACE), 0);
    EXPECT_EQ(content(path("b")), "abc");
    EXPECT_EQ(names_in(path("")), (Names{"b", "c"}));
}

TEST_P(Files, a_rename_keeps_folders_and_files_apart) {
    make_file(path("a"), "abc");
    ASSERT_EQ(mkdir(path("folder")), 0);
    ASSERT_EQ(mkdir(path("folder/inner")), 0);
    ASSERT_EQ(mkdir(path("empty")), 0);
    EXPECT_EQ(rename(path("a"), path("folder")), -EISDIR);
    EXPECT_EQ(rename(path("folder"), path("a")), -ENOTDIR);
    EXPECT_EQ(rename(path("folder"), path("folder/inner/x")), -EINVAL);
    EXPECT_EQ(rename(path("empty"), path("folder")), -ENOTEMPTY);
    EXPECT_EQ(rename(path("folder/inner"), path("folder")), -ENOTEMPTY);
    EXPECT_EQ(rename(path("a"), path("b/")), -ENOTDIR);
    EXPECT_EQ(rename(path("a"), path("nothing/b")), -ENOENT);
    EXPECT_EQ(rename(path("folder"), path("empty")), 0);
    EXPECT_EQ(names_in(path("empty")), Names{"inner"});
    EXPECT_EQ(rename(path("a"), path("empty/inner/a")), 0);
    EXPECT_EQ(content(path("empty/inner/a")), "abc");
    EXPECT_EQ(names_in(path("")), Names{"empty"});
}

TEST_P(Files, times_of_a_file_move_when_it_is_written) {
    const int fd = opened(path("a"), O_RDWR | O_CREAT);
    struct statx before{};
    ASSERT_EQ(stat(path("a"), before), 0);
    driver().wait_out(backend().now() + 20ms);
    ASSERT_EQ(pwrite(fd, "x", 0), 1);
    struct statx after{};
    ASSERT_EQ(stat(path("a"), after), 0);
    const auto nanoseconds = [](const statx_timestamp& time) {
        return time.tv_sec * 1'000'000'000 + time.tv_nsec;
    };
    EXPECT_GT(nanoseconds(after.stx_mtime), nanoseconds(before.stx_mtime));
    EXPECT_EQ(after.stx_ino, before.stx_ino);
    EXPECT_EQ(after.stx_nlink, 1u);
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
