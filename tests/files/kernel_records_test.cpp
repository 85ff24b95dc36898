// Goal: the records of getdents64(2) and inotify(7) are read within their memory, also if a length
// in them is wrong; the records before it count.
// Method: the memory of a read is put together here. (The folders and watches of the other tests
// have the records of a real kernel.)

#include "files/kernel_records.h"

#include <cstring>

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>

namespace {

using namespace asyncio;

constexpr std::size_t length_at = offsetof(dirent64, d_reclen);
constexpr std::size_t name_at = offsetof(dirent64, d_name);

/// An entry as the kernel writes it, or with another length.
std::string entry(const std::string& name, unsigned char type, int wrong_length = -1) {
    const std::size_t size = (name_at + name.size() + 8) / 8 * 8;
    std::string bytes(size, '\0');
    const auto length = static_cast<std::uint16_t>(wrong_length < 0 ? size : wrong_length);
    std::memcpy(bytes.data() + length_at, &length, sizeof length);
    bytes[offsetof(dirent64, d_type)] = static_cast<char>(type);
    name.copy(bytes.data() + name_at, name.size());
    return bytes;
}

std::vector<std::string> entries_in(const std::string& records) {
    // Memory of exactly this size, for the sanitizers.
    const std::vector<char> memory(records.begin(), records.end());
    std::vector<DirEntry> entries;
    internal::take_dir_entries({memory.data(), memory.size()}, entries);
    std::vector<std::string> names;
    for (const DirEntry& each : entries) names.push_back(each.name);
    return names;
}

TEST(dir_records, entries_come_in_order_and_without_the_dots) {
    const std::string records = entry(".", DT_DIR) + entry("one", DT_REG) + entry("..", DT_DIR) +
                                entry("a longer name", DT_LNK);
    EXPECT_EQ(entries_in(records), (std::vector<std::string>{"one", "a longer name"}));
}

TEST(dir_records, a_wrong_length_ends_the_list) {
    for (const int length : {0, 1, static_cast<int>(name_at), 4096}) {
        const std::string records = entry("one", DT_REG) + entry("two", DT_REG, length);
        EXPECT_EQ(entries_in(records), std::vector<std::string>{"one"}) << length;
    }
}

TEST(dir_records, a_name_without_a_nul_ends_with_its_record) {
    std::string record = entry("1234", DT_REG);
    for (std::size_t i = name_at; i < record.size(); ++i) record[i] = 'x';
    EXPECT_EQ(entries_in(record + entry("two", DT_REG)),
              (std::vector<std::string>{std::string(record.size() - name_at, 'x'), "two"}));
}

struct Record {
    int watch;
    std::uint32_t mask;
    std::uint32_t cookie = 0;
    std::string name = {};
    /// How much longer the record says that its name is.
    std::uint32_t too_long = 0;
};

std::string bytes_of(const Record& record) {
    inotify_event event{};
    event.wd = record.watch;
    event.mask = record.mask;
    event.cookie = record.cookie;
    event.len = static_cast<std::uint32_t>(record.name.size()) + record.too_long;
    return std::string(reinterpret_cast<const char*>(&event), sizeof event) + record.name;
}

/// The events as texts: "created /a/x", "moved /a/x to /a/y".
std::vector<std::string> watch_events_of(const std::vector<Record>& records,
                                         std::size_t missing = 0) {
    std::string bytes;
    for (const Record& record : records) bytes += bytes_of(record);
    const std::vector<char> memory(bytes.begin(), bytes.end() - static_cast<long>(missing));
    internal::WatchedPaths paths = {{1, "/a"}, {2, "/b/"}};
    std::deque<FileEvent> events;
    internal::take_watch_events({memory.data(), memory.size()}, paths, events);
    constexpr const char* kinds[] = {"created ", "modified ", "moved ", "removed ", "overflow "};
    std::vector<std::string> texts;
    for (const FileEvent& event : events)
        texts.push_back(kinds[static_cast<int>(event.kind)] + event.path +
                        (event.to.empty() ? "" : " to " + event.to));
    return texts;
}

using Texts = std::vector<std::string>;

TEST(watch_records, two_halves_side_by_side_are_a_move) {
    EXPECT_EQ(watch_events_of({{1, IN_MOVED_FROM, 5, "x"}, {2, IN_MOVED_TO, 5, "y"}}),
              Texts{"moved /a/x to /b/y"});
    EXPECT_EQ(watch_events_of({{1, IN_MOVED_FROM, 5, "x"}, {2, IN_MOVED_TO, 6, "y"}}),
              (Texts{"removed /a/x", "created /b/y"}));
    EXPECT_EQ(watch_events_of(
                  {{1, IN_MOVED_FROM, 5, "x"}, {1, IN_MODIFY, 0, "z"}, {2, IN_MOVED_TO, 5, "y"}}),
              (Texts{"removed /a/x", "modified /a/z", "created /b/y"}));
}

TEST(watch_records, a_second_half_without_the_first_is_a_new_file) {
    EXPECT_EQ(watch_events_of({{2, IN_MOVED_TO, 0, "y"}}), Texts{"created /b/y"});
    EXPECT_EQ(watch_events_of({{7, IN_MOVED_FROM, 5, "x"}, {2, IN_MOVED_TO, 5, "y"}}),
              Texts{"created /b/y"});
}

TEST(watch_records, a_watch_that_has_ended_has_no_events) {
    EXPECT_EQ(watch_events_of({{1, IN_DELETE_SELF}, {1, IN_IGNORED}, {1, IN_CREATE, 0, "x"}}),
              Texts{"removed /a"});
}

TEST(watch_records, a_name_ends_at_its_nul_or_with_its_record) {
    const std::string padded("x\0\0\0", 4);
    EXPECT_EQ(
        watch_events_of({{1, IN_CREATE, 0, padded}, {1, IN_CREATE, 0, "abcd"}, {2, IN_CREATE}}),
        (Texts{"created /a/x", "created /a/abcd", "created /b/"}));
}

TEST(watch_records, a_record_that_is_longer_than_its_memory_is_dropped) {
    EXPECT_EQ(watch_events_of({{1, IN_CREATE, 0, "x"}, {1, IN_CREATE, 0, "y", 1}}),
              Texts{"created /a/x"});
    EXPECT_EQ(watch_events_of({{1, IN_CREATE, 0, "x"}, {1, IN_CREATE, 0, "y"}}, 2),
              Texts{"created /a/x"});
}

}  // namespace
