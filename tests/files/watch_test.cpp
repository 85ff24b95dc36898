// Goal: a watcher tells what happens to files and folders, on every back-end the same. Method: one
// change after the other, and the events as a text.

#include "files/files_help.h"

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using files_test::error_of;
using files_test::Folder;
using support::run_test;

/// The next `count` events: "created a", "moved a b".
Coro<std::string> events_of(const FileWatcher& watcher, const Folder& in, int count) {
    std::string all;
    while (count-- > 0) {
        const auto event = co_await watcher.next();
        constexpr const char* kinds[] = {"created", "modified", "moved", "removed", "overflow"};
        const auto name = [&](const std::string& path) {
            return path.substr(std::min(path.size(), in.path().size() + 1));
        };
        all += (all.empty() ? "" : "; ") + std::string(kinds[static_cast<int>(event->kind)]);
        all += (event->is_dir ? "/ " : " ") + name(event->path);
        if (!event->to.empty()) all += " " + name(event->to);
    }
    co_return all;
}

TEST(watch, a_folder_tells_what_happens_to_the_files_in_it) {
    run_test([]() -> Coro<> {
        const Folder in;
        const FileWatcher watcher = co_await watch(in.path());
        co_await files::write_text(in("a"), "x");
        co_await files::mkdir(in("folder"));
        co_await files::rename(in("a"), in("b"));
        co_await files::remove(in("b"));
        EXPECT_EQ(co_await events_of(watcher, in, 5),
                  "created a; modified a; created/ folder; moved a b; removed b");
    });
}

TEST(watch, a_file_that_moves_in_or_out_is_created_or_removed) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::mkdir(in("one"));
        co_await files::mkdir(in("two"));
        const FileWatcher watcher = co_await watch(in("one"));
        co_await files::write_text(in("two/a"), "");
        co_await files::rename(in("two/a"), in("one/b"));
        co_await files::rename(in("one/b"), in("two/c"));
        EXPECT_EQ(co_await events_of(watcher, in, 2), "created one/b; removed one/b");
        co_await watcher.add(in("two"));
        co_await files::rename(in("two/c"), in("one/d"));
        EXPECT_EQ(co_await events_of(watcher, in, 1), "moved two/c one/d");
    });
}

TEST(watch, a_file_tells_of_itself) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::write_text(in("a"), "");
        const FileWatcher watcher = co_await watch(in("a"));
        co_await files::write_text(in("a"), "x");
        EXPECT_EQ(co_await events_of(watcher, in, 1), "modified a");
        co_await files::rename(in("a"), in("b"));
        EXPECT_EQ(co_await events_of(watcher, in, 1), "moved a");
        co_await files::remove(in("b"));
        EXPECT_EQ(co_await events_of(watcher, in, 1), "removed a");
    });
}

TEST(watch, a_task_waits_for_the_next_event_and_may_be_cancelled) {
    run_test([]() -> Coro<> {
        const Folder in;
        const FileWatcher watcher = co_await watch(in.path());
        for (int round = 0; round < 20; ++round) {
            Task<std::optional<FileEvent>> waiting = create_task(watcher.next());
            if (round % 2 == 0) co_await sleep(0s);
            waiting.cancel();
            EXPECT_TRUE((co_await internal::settle(waiting)).cancelled());
        }
        Task<std::optional<FileEvent>> waiting = create_task(watcher.next());
        co_await sleep(0s);
        EXPECT_EQ(co_await error_of(watcher.next()),
                  "another task waits for the next event of a watcher");
        co_await files::mkdir(in("folder"));
        EXPECT_EQ((co_await waiting)->path, in("folder"));
    });
}

TEST(watch, a_path_that_was_removed_from_the_watcher_tells_nothing_more) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::mkdir(in("one"));
        co_await files::mkdir(in("two"));
        const FileWatcher watcher = co_await watch(in("one"));
        co_await watcher.add(in("two"));
        co_await files::mkdir(in("one/before"));
        watcher.remove(in("one"));
        watcher.remove(in("nothing"));
        co_await files::mkdir(in("one/a"));
        co_await files::mkdir(in("two/b"));
        EXPECT_EQ(co_await events_of(watcher, in, 2), "created/ one/before; created/ two/b");
    });
}

TEST(watch, what_cannot_be_watched_is_refused) {
    run_test([]() -> Coro<> {
        const Folder in;
        EXPECT_EQ(co_await error_of(watch(in("a"))),
                  "watch \"" + in("a") + "\": No such file or directory");
        const FileWatcher empty;
        EXPECT_THROW(static_cast<void>(empty.next()), RuntimeError);
        EXPECT_THROW(static_cast<void>(empty.add("a")), RuntimeError);
        EXPECT_THROW(empty.remove("a"), RuntimeError);
    });
}

TEST(watch, lost_events_are_told) {
    run_test([]() -> Coro<> {
        const Folder in;
        const FileWatcher watcher = co_await watch(in.path());
        const File one = co_await File::open(in("a"), "w");
        const File two = co_await File::open(in("b"), "w");
        for (int i = 0; i < 8500; ++i) {
            co_await one.write("x");
            co_await two.write("x");
        }
        int overflows = 0;
        for (int i = 0; i < 16'385; ++i) {
            const auto event = co_await watcher.next();
            if (event->kind == FileEvent::Kind::overflow) ++overflows;
        }
        EXPECT_EQ(overflows, 1);
    });
}

}  // namespace
