// Goal: a program that watches files is told the same on every back-end: inotify(7) itself, and its
// counterpart in the simulated world. Method: one change after the other, and the events of each as
// a text.

#include "conformance/harness.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>

namespace asyncio::lowlevel::conformance {
namespace {

constexpr std::pair<std::uint32_t, const char*> names_of_events[] = {
    {IN_ACCESS, "access"},
    {IN_MODIFY, "modify"},
    {IN_ATTRIB, "attrib"},
    {IN_CLOSE_WRITE, "close_write"},
    {IN_CLOSE_NOWRITE, "close_nowrite"},
    {IN_OPEN, "open"},
    {IN_MOVED_FROM, "moved_from"},
    {IN_MOVED_TO, "moved_to"},
    {IN_CREATE, "create"},
    {IN_DELETE, "delete"},
    {IN_DELETE_SELF, "delete_self"},
    {IN_MOVE_SELF, "move_self"},
    {IN_Q_OVERFLOW, "overflow"},
    {IN_IGNORED, "ignored"},
};

class Watching : public Files {
protected:
    void SetUp() override {
        Files::SetUp();
        if (driver_) watcher_ = make_watcher();
    }

    int make_watcher() {
        const int fd = run({.kind = OperationKind::inotify_init});
        EXPECT_GT(fd, 2);
        open_.push_back(fd);
        return fd;
    }

    int watch(const char* path, std::uint32_t mask = IN_ALL_EVENTS) {
        return run({.kind = OperationKind::inotify_add_watch,
                    .fd = watcher_,
                    .buffer = const_cast<char*>(path),
                    .size = mask});
    }

    int end_watch(int number) {
        return run({.kind = OperationKind::inotify_rm_watch, .fd = watcher_, .offset = number});
    }

    /// The events that have come, as "number event [name]; …". A folder's event ends with "/", and
    /// a cookie is shown as "+".
    std::string events() {
        std::string text;
        alignas(inotify_event) char records[4096];
        for (;;) {
            Read reading(watcher_, records);
            if (driver().submit(reading)) driver().wait_out(soon());
            if (driver().is_in_flight(reading)) driver().cancel(reading);
            if (driver().is_in_flight(reading)) driver().finish(reading);
            if (reading.result == -ECANCELED) return text;
            EXPECT_GT(reading.result, 0);
            if (reading.result <= 0) return text;
            append(text, records, static_cast<std::size_t>(reading.result));
        }
    }

    static void append(std::string& text, const char* records, std::size_t size) {
        for (std::size_t at = 0; at < size;) {
            inotify_event event;
            std::memcpy(&event, records + at, sizeof event);
            if (!text.empty()) text += "; ";
            text += std::to_string(event.wd);
            for (const auto& [bit, name] : names_of_events)
                if ((event.mask & bit) != 0) text += std::string(" ") + name;
            if ((event.mask & IN_ISDIR) != 0) text += "/";
            if (event.cookie != 0) text += "+";
            if (event.len != 0) text += std::string(" ") + (records + at + sizeof event);
            at += sizeof event + event.len;
        }
    }

    int watcher_ = -1;
};

INSTANTIATE_TEST_SUITE_P(, Watching,
                         testing::Values(Tested::io_uring, Tested::io_uring_plain, Tested::epoll,
                                         Tested::simulated, Tested::simulated_seeded),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(Watching, a_folder_tells_of_the_files_in_it) {
    EXPECT_EQ(watch(path("")), 1);
    EXPECT_EQ(events(), "");
    const int fd = opened(path("a"), O_RDWR | O_CREAT);
    EXPECT_EQ(events(), "1 create a; 1 open a");
    ASSERT_EQ(pwrite(fd, "x", 0), 1);
    EXPECT_EQ(events(), "1 modify a");
    char byte = 0;
    ASSERT_EQ(pread(fd, {&byte, 1}, 0), 1);
    EXPECT_EQ(events(), "1 access a");
    ASSERT_EQ(run({.kind = OperationKind::ftruncate, .fd = fd, .offset = 0}), 0);
    EXPECT_EQ(events(), "1 modify a");
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(events(), "1 close_write a");
    EXPECT_EQ(close(opened(path("a"), O_RDONLY)), 0);
    EXPECT_EQ(events(), "1 open a; 1 close_nowrite a");
    EXPECT_EQ(unlink(path("a")), 0);
    EXPECT_EQ(events(), "1 delete a");
}

TEST_P(Watching, a_folder_tells_of_the_folders_in_it) {
    EXPECT_EQ(watch(path("")), 1);
    ASSERT_EQ(mkdir(path("folder")), 0);
    EXPECT_EQ(events(), "1 create/ folder");
    make_file(path("folder/a"), "x");
    EXPECT_EQ(events(), "") << "not of what happens further down";
    EXPECT_EQ(unlink(path("folder/a")), 0);
    EXPECT_EQ(rename(path("folder"), path("other")), 0);
    EXPECT_EQ(events(), "1 moved_from/+ folder; 1 moved_to/+ other");
    EXPECT_EQ(unlink(path("other"), AT_REMOVEDIR), 0);
    EXPECT_EQ(events(), "1 delete/ other");
}

TEST_P(Watching, a_rename_into_another_folder_is_told_to_both) {
    ASSERT_EQ(mkdir(path("one")), 0);
    ASSERT_EQ(mkdir(path("two")), 0);
    make_file(path("one/a"), "");
    make_file(path("two/b"), "");
    EXPECT_EQ(watch(path("one")), 1);
    EXPECT_EQ(watch(path("two")), 2);
    EXPECT_EQ(watch(path("one/a")), 3);
    EXPECT_EQ(watch(path("two/b")), 4);
    EXPECT_EQ(rename(path("one/a"), path("two/b")), 0);
    EXPECT_EQ(events(),
              "1 moved_from+ a; 2 moved_to+ b; 4 attrib; 3 move_self; 4 delete_self; 4 ignored");
}

TEST_P(Watching, a_file_tells_of_itself) {
    make_file(path("a"), "");
    EXPECT_EQ(watch(path("a")), 1);
    const int fd = opened(path("a"), O_RDWR);
    ASSERT_EQ(pwrite(fd, "x", 0), 1);
    EXPECT_EQ(events(), "1 open; 1 modify");
    EXPECT_EQ(rename(path("a"), path("b")), 0);
    EXPECT_EQ(events(), "1 move_self");
    EXPECT_EQ(unlink(path("b")), 0);
    EXPECT_EQ(events(), "1 attrib") << "it is open";
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(events(), "1 close_write; 1 delete_self; 1 ignored");
}

TEST_P(Watching, an_open_that_truncates_is_a_change) {
    make_file(path("a"), "abc");
    EXPECT_EQ(watch(path("a"), IN_MODIFY | IN_OPEN), 1);
    const int fd = opened(path("a"), O_WRONLY | O_TRUNC);
    EXPECT_EQ(events(), "1 open; 1 modify");
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(events(), "");
}

TEST_P(Watching, a_removed_folder_ends_its_watch) {
    ASSERT_EQ(mkdir(path("folder")), 0);
    EXPECT_EQ(watch(path("folder")), 1);
    EXPECT_EQ(unlink(path("folder"), AT_REMOVEDIR), 0);
    EXPECT_EQ(events(), "1 delete_self; 1 ignored");
    EXPECT_EQ(end_watch(1), -EINVAL);
}

TEST_P(Watching, equal_events_come_once) {
    EXPECT_EQ(watch(path(""), IN_MODIFY), 1);
    const int fd = opened(path("a"), O_RDWR | O_CREAT);
    const int other = opened(path("b"), O_RDWR | O_CREAT);
    for (int i = 0; i < 5; ++i) ASSERT_EQ(pwrite(fd, "x", i), 1);
    ASSERT_EQ(pwrite(other, "x", 0), 1);
    ASSERT_EQ(pwrite(fd, "x", 0), 1);
    EXPECT_EQ(events(), "1 modify a; 1 modify b; 1 modify a");
}

TEST_P(Watching, a_second_watch_of_a_file_is_the_first_one_changed) {
    make_file(path("a"), "");
    EXPECT_EQ(watch(path("a"), IN_MODIFY), 1);
    EXPECT_EQ(watch(path("a"), IN_OPEN), 1);
    const int fd = opened(path("a"), O_RDWR);
    ASSERT_EQ(pwrite(fd, "x", 0), 1);
    EXPECT_EQ(events(), "1 open");
    EXPECT_EQ(watch(path("a"), IN_MODIFY | IN_MASK_ADD), 1);
    ASSERT_EQ(pwrite(fd, "x", 0), 1);
    opened(path("a"), O_RDWR);
    EXPECT_EQ(events(), "1 modify; 1 open");
    EXPECT_EQ(watch(path("a"), IN_MODIFY | IN_MASK_CREATE), -EEXIST);
}

TEST_P(Watching, a_watch_is_ended) {
    EXPECT_EQ(watch(path("")), 1);
    EXPECT_EQ(end_watch(1), 0);
    make_file(path("a"), "");
    EXPECT_EQ(events(), "1 ignored");
    EXPECT_EQ(end_watch(1), -EINVAL);
    EXPECT_EQ(watch(path("")), 2);
}

TEST_P(Watching, what_cannot_be_watched_is_refused) {
    EXPECT_EQ(watch(path("a")), -ENOENT);
    make_file(path("a"), "");
    EXPECT_EQ(watch(path("a"), IN_ALL_EVENTS | IN_ONLYDIR), -ENOTDIR);
    EXPECT_EQ(watch(path("a"), 0), -EINVAL);
    EXPECT_EQ(watch(path("a/b")), -ENOTDIR);
}

TEST_P(Watching, a_read_waits_for_the_next_event) {
    EXPECT_EQ(watch(path(""), IN_CREATE), 1);
    for (int i = 0; i < 20; ++i) {
        alignas(inotify_event) char records[4096];
        Read reading(watcher_, records);
        Poll polling(watcher_, POLLIN);
        ASSERT_TRUE(driver().submit(reading));
        ASSERT_TRUE(driver().submit(polling));
        if (i % 2 == 0) driver().wait_out(soon());
        ASSERT_TRUE(driver().is_in_flight(reading));
        make_file(path("f" + std::to_string(i)), "");
        driver().finish(reading);
        EXPECT_GT(reading.result, 0);
        if (driver().is_in_flight(polling)) driver().cancel(polling);
        driver().finish_all();
    }
}

TEST_P(Watching, an_event_that_does_not_fit_stays) {
    EXPECT_EQ(watch(path(""), IN_CREATE), 1);
    make_file(path("a"), "");
    char little[20];
    Read reading(watcher_, little);
    EXPECT_EQ(driver().run(reading), -EINVAL);
    EXPECT_EQ(events(), "1 create a");
    make_file(path(std::string(200, 'n')), "");
    EXPECT_EQ(events(), "1 create " + std::string(200, 'n'));
}

TEST_P(Watching, two_watchers_hear_the_same_and_a_closed_one_nothing) {
    const int first = watcher_;
    EXPECT_EQ(watch(path(""), IN_CREATE), 1);
    watcher_ = make_watcher();
    EXPECT_EQ(watch(path(""), IN_CREATE), 1);
    make_file(path("a"), "");
    EXPECT_EQ(events(), "1 create a");
    EXPECT_EQ(close(watcher_), 0);
    make_file(path("b"), "");
    watcher_ = first;
    EXPECT_EQ(events(), "1 create a; 1 create b");
}

TEST_P(Watching, the_loss_of_events_is_told) {
    make_file(path("a"), "x");
    make_file(path("b"), "x");
    const int files[] = {opened(path("a"), O_RDONLY), opened(path("b"), O_RDONLY)};
    EXPECT_EQ(watch(path(""), IN_ACCESS | IN_CREATE), 1);
    char byte = 0;
    for (int i = 0; i < 17'000; ++i) ASSERT_EQ(pread(files[i % 2], {&byte, 1}, 0), 1);
    const std::string all = events();
    EXPECT_TRUE(all.starts_with("1 access a; 1 access b; "));
    EXPECT_TRUE(all.ends_with("; -1 overflow")) << all.substr(all.size() - 100);
    make_file(path("c"), "");
    EXPECT_EQ(events(), "1 create c");
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
