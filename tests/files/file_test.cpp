// Goal: a File reads, writes and positions as Python's does, and loses nothing when it is
// cancelled. Method: small files in a folder of the test's own, on every back-end.

#include "files/files_help.h"

#include <cerrno>
#include <random>
#include <stdexcept>

#include <fcntl.h>
#include <sys/stat.h>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using files_test::error_of;
using files_test::Folder;
using support::run_test;

Coro<std::string> text_of(std::string path) { return files::read_text(std::move(path)); }

// --- Opening -------------------------------------------------------------------------------------

TEST(file, modes_mean_what_they_mean_in_python) {
    run_test([]() -> Coro<> {
        const Folder in;
        EXPECT_EQ(co_await error_of(File::open(in("a"), "r")),
                  "open \"" + in("a") + "\": No such file or directory");
        File file = co_await File::open(in("a"), "w");
        EXPECT_EQ(co_await file.write("abc"), 3u);
        EXPECT_NE(co_await error_of(file.read()), "none");
        co_await file.close();
        EXPECT_EQ(co_await error_of(File::open(in("a"), "x")),
                  "open \"" + in("a") + "\": File exists");
        file = co_await File::open(in("a"), "a");
        EXPECT_EQ(file.tell(), 3);
        co_await file.write("d");
        EXPECT_EQ(file.tell(), 4);
        file = co_await File::open(in("a"), "rb+");
        EXPECT_EQ(co_await file.read(2), "ab");
        co_await file.write("X");
        EXPECT_EQ(co_await file.read(), "d");
        EXPECT_EQ(co_await text_of(in("a")), "abXd");
        file = co_await File::open(in("a"), "r");
        EXPECT_NE(co_await error_of(file.write("x")), "none");
        file = co_await File::open(in("a"), "w+");
        EXPECT_EQ(co_await file.read(), "");
        file = co_await File::open(in("b"), "xt");
        EXPECT_TRUE(co_await files::exists(in("b")));
    });
}

TEST(file, a_wrong_mode_is_refused) {
    run_test([]() -> Coro<> {
        for (const char* mode : {"", "q", "rw", "+", "b", "rr", "wa"})
            EXPECT_THROW(static_cast<void>(File::open("a", mode)), std::invalid_argument) << mode;
        EXPECT_NE(co_await error_of(File::open("a", OpenOptions{})), "none");
    });
}

TEST(file, options_name_each_part_of_the_mode) {
    run_test([]() -> Coro<> {
        const Folder in;
        const OpenOptions how{.write = true, .create = true, .permissions = 0640};
        File file = co_await File::open(in("a"), how);
        co_await file.write("abc");
        const FileStat about = co_await file.stat();
        EXPECT_EQ(about.mode & 0777, 0640u);
        EXPECT_TRUE(about.is_file());
        EXPECT_EQ(about.size, 3u);
        EXPECT_EQ(co_await file.size(), 3u);
        EXPECT_EQ(file.name(), in("a"));
        EXPECT_GT(file.fileno(), 2);
    });
}

// --- Reading -------------------------------------------------------------------------------------

TEST(file, read_gives_what_was_asked_for_and_less_at_the_end) {
    run_test([]() -> Coro<> {
        const Folder in;
        std::string all;
        for (int i = 0; i < 60'000; ++i) all += std::to_string(i);
        co_await files::write_bytes(in("a"), all);
        const File file = co_await File::open(in("a"));
        EXPECT_EQ(co_await file.read(0), "");
        EXPECT_EQ(co_await file.read(5), all.substr(0, 5));
        EXPECT_TRUE(co_await file.read(200'000) == all.substr(5, 200'000));
        EXPECT_EQ(file.tell(), 200'005);
        std::string memory(10, '.');
        EXPECT_EQ(co_await file.read_into(memory), 10u);
        EXPECT_EQ(memory, all.substr(200'005, 10));
        EXPECT_TRUE(co_await file.read() == all.substr(200'015));
        EXPECT_EQ(co_await file.read(), "");
        EXPECT_EQ(co_await file.read_into(memory), 0u);
    });
}

TEST(file, lines_come_with_their_ends_and_the_last_may_have_none) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::write_text(in("a"), "one\n\ntwo\r\nthree");
        const File file = co_await File::open(in("a"));
        EXPECT_EQ(co_await file.readline(), "one\n");
        EXPECT_EQ(file.tell(), 4) << "not where the buffer ends";
        std::string rest;
        auto lines = file.lines();
        while (auto line = co_await lines.next()) rest += "[" + *line + "]";
        EXPECT_EQ(rest, "[\n][two\r\n][three]");
        EXPECT_EQ(co_await file.readline(), "");
    });
}

TEST(file, a_line_longer_than_the_limit_is_refused_and_stays) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::write_text(in("a"), "short\n" + std::string(101, 'x') + "\nend\n");
        const OpenOptions how{.read = true, .limit = 100};
        const File file = co_await File::open(in("a"), how);
        EXPECT_EQ(co_await file.readline(), "short\n");
        bool refused = false;
        try {
            co_await file.readline();
        } catch (const LimitOverrunError&) {
            refused = true;
        }
        EXPECT_TRUE(refused);
        EXPECT_EQ(co_await file.read(102), std::string(101, 'x') + "\n");
        EXPECT_EQ(co_await file.readline(), "end\n");
    });
}

TEST(file, lines_that_were_added_are_read_by_the_next_call) {
    run_test([]() -> Coro<> {
        const Folder in;
        const File writer = co_await File::open(in("a"), "w");
        const File reader = co_await File::open(in("a"));
        EXPECT_EQ(co_await reader.readline(), "");
        co_await writer.write("one\ntwo");
        EXPECT_EQ(co_await reader.readline(), "one\n");
        co_await writer.write(" and a half\n");
        EXPECT_EQ(co_await reader.readline(), "two and a half\n");
    });
}

// --- Position ------------------------------------------------------------------------------------

TEST(file, seek_counts_from_the_start_the_position_or_the_end) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::write_text(in("a"), "0123456789");
        const File file = co_await File::open(in("a"), "r+");
        EXPECT_EQ(co_await file.seek(4), 4);
        EXPECT_EQ(co_await file.read(1), "4");
        EXPECT_EQ(co_await file.seek(-2, Whence::current), 3);
        EXPECT_EQ(co_await file.read(2), "34");
        EXPECT_EQ(co_await file.seek(-3, Whence::end), 7);
        EXPECT_EQ(co_await file.read(), "789");
        EXPECT_NE(co_await error_of(file.seek(-1)), "none");
        EXPECT_EQ(file.tell(), 10);
        co_await file.seek(12);
        co_await file.write("x");
        EXPECT_EQ(co_await text_of(in("a")), std::string("0123456789\0\0x", 13));
    });
}

TEST(file, a_write_happens_where_the_last_read_stopped) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::write_text(in("a"), "one\ntwo\nthree\n");
        const File file = co_await File::open(in("a"), "r+");
        EXPECT_EQ(co_await file.readline(), "one\n");
        co_await file.write("TWO");
        EXPECT_EQ(co_await file.read(), "\nthree\n");
        EXPECT_EQ(co_await text_of(in("a")), "one\nTWO\nthree\n");
    });
}

TEST(file, reads_and_writes_at_a_place_leave_the_position) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::write_text(in("a"), "0123456789");
        const File file = co_await File::open(in("a"), "r+");
        EXPECT_EQ(co_await file.read(1), "0");
        EXPECT_EQ(co_await file.read_at(8, 10), "89");
        EXPECT_EQ(co_await file.read_at(20, 10), "");
        EXPECT_EQ(co_await file.write_at(5, "xyz"), 3u);
        EXPECT_EQ(file.tell(), 1);
        EXPECT_EQ(co_await text_of(in("a")), "01234xyz89");
        EXPECT_NE(co_await error_of(file.read_at(-1, 1)), "none");
    });
}

TEST(file, truncate_cuts_at_the_position_or_at_a_length) {
    run_test([]() -> Coro<> {
        const Folder in;
        const File file = co_await File::open(in("a"), "w+");
        co_await file.write("0123456789");
        co_await file.truncate(8);
        EXPECT_EQ(file.tell(), 10);
        co_await file.seek(5);
        co_await file.truncate();
        co_await file.flush();
        co_await file.sync();
        co_await file.sync({.data_only = true});
        EXPECT_EQ(co_await text_of(in("a")), "01234");
    });
}

TEST(file, writelines_joins_its_pieces) {
    run_test([]() -> Coro<> {
        const Folder in;
        const File file = co_await File::open(in("a"), "w");
        std::vector<std::string> pieces(2, "one\n");
        EXPECT_EQ(co_await file.writelines(pieces), 8u);
        EXPECT_EQ(co_await text_of(in("a")), "one\none\n");
    });
}

// --- Several tasks, and the end ------------------------------------------------------------------

// A named pipe, because a read of it waits until the test writes.
TEST(file, one_task_uses_the_position_at_a_time) {
    const char* backend = std::getenv("ASYNCIO_BACKEND");
    if (backend != nullptr && std::string_view(backend) == "simulated")
        GTEST_SKIP() << "the simulated file system has no named pipes";
    run_test([]() -> Coro<> {
        const Folder in;
        EXPECT_EQ(::mkfifo(in("pipe").c_str(), 0600), 0);
        const File reader = co_await File::open(in("pipe"));
        const File writer = co_await File::open(in("pipe"), "r+");
        Task<std::string> reading = create_task(reader.read(2));
        co_await sleep(0s);
        EXPECT_EQ(co_await error_of(reader.read(1)),
                  "another task reads or writes \"" + in("pipe") + "\" at the moment");
        co_await writer.write("xy");
        EXPECT_EQ(co_await reading, "xy");
        co_await writer.write("z");
        EXPECT_EQ(co_await reader.read(1), "z") << "it is free again";
    });
}

TEST(file, places_may_be_used_by_any_number_of_tasks) {
    run_test([]() -> Coro<> {
        const Folder in;
        const File file = co_await File::open(in("a"), "w+");
        std::vector<Task<std::size_t>> writing;
        for (int i = 0; i < 50; ++i)
            writing.push_back(create_task(
                file.write_at(i * 1000, std::string(1000, static_cast<char>('A' + i % 26)))));
        for (const auto& task : writing) EXPECT_EQ(co_await task, 1000u);
        for (int i = 0; i < 50; ++i)
            EXPECT_EQ(co_await file.read_at(i * 1000, 1000),
                      std::string(1000, static_cast<char>('A' + i % 26)));
    });
}

TEST(file, a_closed_file_refuses_everything_but_close) {
    run_test([]() -> Coro<> {
        const Folder in;
        const File file = co_await File::open(in("a"), "w+");
        EXPECT_FALSE(file.closed());
        co_await file.close();
        EXPECT_TRUE(file.closed());
        EXPECT_EQ(file.fileno(), -1);
        co_await file.close();
        const std::string closed = "the file \"" + in("a") + "\" is closed";
        EXPECT_EQ(co_await error_of(file.read(1)), closed);
        EXPECT_EQ(co_await error_of(file.write("x")), closed);
        EXPECT_EQ(co_await error_of(file.seek(0)), closed);
        EXPECT_EQ(co_await error_of(file.stat()), closed);
        EXPECT_EQ(co_await error_of(file.flush()), closed);
        EXPECT_EQ(co_await error_of(file.sync()), closed);
        EXPECT_EQ(co_await error_of(file.truncate(0)), closed);
        EXPECT_EQ(co_await error_of(file.read_at(0, 1)), closed);
        EXPECT_EQ(co_await error_of(file.write_at(0, "x")), closed);
    });
}

TEST(file, an_empty_object_throws) {
    const File file;
    EXPECT_TRUE(file.closed());
    EXPECT_EQ(file.fileno(), -1);
    EXPECT_THROW(static_cast<void>(file.read()), RuntimeError);
    EXPECT_THROW(static_cast<void>(file.close()), RuntimeError);
    EXPECT_THROW(static_cast<void>(file.tell()), RuntimeError);
    EXPECT_THROW(static_cast<void>(file.name()), RuntimeError);
}

TEST(file, a_file_object_may_go_while_a_task_uses_it) {
    run_test([]() -> Coro<> {
        const Folder in;
        Task<std::size_t> writing;
        {
            const File file = co_await File::open(in("a"), "w");
            writing = create_task(file.write("abc"));
        }
        EXPECT_EQ(co_await writing, 3u);
        EXPECT_EQ(co_await text_of(in("a")), "abc");
    });
}

TEST(file, a_file_object_may_outlive_its_loop) {
    File kept;
    run_test([&]() -> Coro<> {
        const Folder in;
        kept = co_await File::open(in("a"), "w");
    });
    EXPECT_FALSE(kept.closed());
}

// --- Cancellation --------------------------------------------------------------------------------

TEST(file, CPP_03_a_cancelled_read_has_moved_nothing) {
    run_test([]() -> Coro<> {
        const Folder in;
        std::string all;
        for (int i = 0; i < 30'000; ++i) all += std::to_string(i) + "\n";
        co_await files::write_bytes(in("a"), all);
        const File file = co_await File::open(in("a"));
        std::mt19937 random(20240229);
        std::string got;
        while (got.size() < all.size()) {
            static_cast<void>(::posix_fadvise(file.fileno(), 0, 0, POSIX_FADV_DONTNEED));
            Task<std::string> reading =
                create_task(random() % 2 == 0 ? file.readline() : file.read(10'000));
            if (random() % 2 == 0) co_await sleep(0s);
            reading.cancel();
            const auto outcome = co_await internal::settle(reading);
            if (!outcome.cancelled() && !outcome.failed()) got += reading.result();
            if (random() % 4 == 0) got += co_await file.read(1000);
        }
        EXPECT_TRUE(got == all);
    });
}

TEST(file, CPP_03_tell_says_how_much_a_cancelled_write_has_written) {
    run_test([]() -> Coro<> {
        const Folder in;
        const File file = co_await File::open(in("a"), "w");
        std::mt19937 random(20240229);
        for (int round = 0; round < 100; ++round) {
            Task<std::size_t> writing = create_task(file.write(std::string(5000, 'w')));
            if (random() % 2 == 0) co_await sleep(0s);
            writing.cancel();
            static_cast<void>(co_await internal::settle(writing));
            EXPECT_EQ(static_cast<std::uint64_t>(file.tell()), co_await file.size());
        }
    });
}

TEST(file, a_cancelled_open_leaks_no_descriptor) {
    run_test([]() -> Coro<> {
        const Folder in;
        for (int round = 0; round < 50; ++round) {
            Task<File> opening = create_task(File::open(in("a"), "a"));
            if (round % 2 == 0) co_await sleep(0s);
            opening.cancel();
            static_cast<void>(co_await internal::settle(opening));
        }
    });
}

}  // namespace
