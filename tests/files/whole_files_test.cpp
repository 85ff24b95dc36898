// Goal: the functions of `asyncio::files` do what Python's os and pathlib do, and name the path in
// their errors. Method: one call after the other in a folder of the test's own.

#include "files/files_help.h"

#include <algorithm>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using files_test::error_of;
using files_test::Folder;
using support::run_test;

using Names = std::vector<std::string>;

/// Sorted, with commas between them.
Coro<std::string> names_in(std::string path) {
    Names names = co_await files::listdir(std::move(path));
    std::sort(names.begin(), names.end());
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    co_return all;
}

TEST(whole_files, are_written_and_read) {
    run_test([]() -> Coro<> {
        const Folder in;
        const std::string bytes("a\0\r\n\xff", 5);
        co_await files::write_bytes(in("a"), bytes);
        EXPECT_EQ(co_await files::read_bytes(in("a")), bytes);
        co_await files::write_text(in("a"), "short", {.sync = true});
        EXPECT_EQ(co_await files::read_text(in("a")), "short");
        EXPECT_EQ(co_await error_of(files::read_text(in("b"))),
                  "open \"" + in("b") + "\": No such file or directory");
        EXPECT_NE(co_await error_of(files::read_text(std::string("a\0b", 3))), "none");
    });
}

TEST(whole_files, are_replaced_as_a_whole) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::write_text(in("a"), "old");
        const File old = co_await File::open(in("a"));
        co_await files::write_text(in("a"), "new", {.atomic = true, .sync = true});
        EXPECT_EQ(co_await files::read_text(in("a")), "new");
        EXPECT_EQ(co_await old.read(), "old");
        co_await files::write_text(in("b"), "made", {.atomic = true});
        EXPECT_EQ(co_await names_in(in.path()), "a, b") << "nothing is left over";
    });
}

TEST(whole_files, an_atomic_write_that_fails_leaves_the_old_file_alone) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::mkdir(in("folder"));
        co_await files::write_text(in("folder/a"), "");
        EXPECT_NE(co_await error_of(files::write_text(in("folder"), "x", {.atomic = true})),
                  "none");
        EXPECT_EQ(co_await names_in(in.path()), "folder");
        EXPECT_NE(co_await error_of(files::write_text(in("no/a"), "x", {.atomic = true})), "none");
    });
}

TEST(whole_files, a_cancelled_atomic_write_leaves_the_old_file_or_the_new_one) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::write_text(in("a"), "old");
        for (int round = 0; round < 40; ++round) {
            Task<> writing =
                create_task(files::write_text(in("a"), std::string(3000, 'n'), {.atomic = true}));
            for (int i = 0; i < round % 10; ++i) co_await sleep(0s);
            writing.cancel();
            static_cast<void>(co_await internal::settle(writing));
            const std::string now = co_await files::read_text(in("a"));
            EXPECT_TRUE(now == "old" || now == std::string(3000, 'n'));
            EXPECT_EQ(co_await names_in(in.path()), "a");
            co_await files::write_text(in("a"), "old");
        }
    });
}

TEST(names, are_made_moved_and_removed) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::write_text(in("a"), "abc");
        co_await files::rename(in("a"), in("b"));
        EXPECT_FALSE(co_await files::exists(in("a")));
        EXPECT_TRUE(co_await files::exists(in("b")));
        EXPECT_FALSE(co_await files::exists(in("b/c")));
        EXPECT_EQ(co_await error_of(files::rename(in("a"), in("c"))),
                  "rename \"" + in("a") + "\" to \"" + in("c") + "\": No such file or directory");
        co_await files::remove(in("b"));
        EXPECT_EQ(co_await error_of(files::remove(in("b"))),
                  "remove \"" + in("b") + "\": No such file or directory");
        EXPECT_EQ(co_await error_of(files::stat(in("b"))),
                  "stat \"" + in("b") + "\": No such file or directory");
    });
}

TEST(names, folders_are_made_with_and_without_their_parents) {
    run_test([]() -> Coro<> {
        const Folder in;
        co_await files::mkdir(in("one"));
        EXPECT_EQ(co_await error_of(files::mkdir(in("one"))),
                  "make the folder \"" + in("one") + "\": File exists");
        co_await files::mkdir(in("one"), {.exist_ok = true});
        EXPECT_NE(co_await error_of(files::mkdir(in("two/three"))), "none");
        co_await files::mkdir(in("two/three//four/"), {.parents = true});
        EXPECT_TRUE((co_await files::stat(in("two/three/four"))).is_dir());
        EXPECT_NE(co_await error_of(files::mkdir(in("two/three"), {.parents = true})), "none");
        co_await files::mkdir(in("two/three"), {.parents = true, .exist_ok = true});
        co_await files::write_text(in("file"), "");
        EXPECT_NE(co_await error_of(files::mkdir(in("file"), {.exist_ok = true})), "none");
        EXPECT_NE(co_await error_of(files::rmdir(in("two"))), "none");
        co_await files::rmdir(in("two/three/four"));
        EXPECT_EQ(co_await names_in(in("two")), "three");
    });
}

TEST(names, a_folder_is_listed) {
    run_test([]() -> Coro<> {
        const Folder in;
        EXPECT_EQ(co_await names_in(in.path()), "");
        Names names;
        std::string all;
        for (int i = 100; i < 400; ++i) {
            names.push_back("a file with a name: number " + std::to_string(i));
            all += (all.empty() ? "" : ", ") + names.back();
            co_await files::write_text(in(names.back()), "");
        }
        EXPECT_TRUE(co_await names_in(in.path()) == all);
        co_await files::mkdir(in("folder"));
        int folders = 0;
        for (const DirEntry& entry : co_await files::scandir(in.path())) {
            EXPECT_EQ(entry.is_dir(), entry.name == "folder");
            EXPECT_EQ(entry.is_file(), entry.name != "folder");
            if (entry.is_dir()) ++folders;
        }
        EXPECT_EQ(folders, 1);
        EXPECT_EQ(co_await error_of(files::listdir(in("no"))),
                  "list \"" + in("no") + "\": No such file or directory");
        EXPECT_EQ(co_await error_of(files::listdir(in(names.front()))),
                  "list \"" + in(names.front()) + "\": Not a directory");
    });
}

}  // namespace
