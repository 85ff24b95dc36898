// Goal: the entries of a folder and the events of a watch are read within their memory, whatever
// lengths they claim, and a rename never touches an event that is not its own.
// Method: the input is the memory of one read. A walk by indexes says which names there are.

#include "files/kernel_records.h"
#include "fuzz/fuzz.h"

#include <cstring>

#include <sys/inotify.h>

namespace {

using fuzz::Input;
using fuzz::require;

/// A text up to the NUL, in a room.
std::string name_in(const std::string& bytes, std::size_t begin, std::size_t end) {
    std::string name;
    for (std::size_t i = begin; i < end && bytes[i] != '\0'; ++i) name += bytes[i];
    return name;
}

/// The length of an entry stands in its bytes 16 and 17, the type in byte 18, the name behind.
void read_folder(Input input) {
    const std::string bytes = input.all();
    std::vector<std::string> expected;
    for (std::size_t at = 0; at + 19 < bytes.size();) {
        std::uint16_t length = 0;
        std::memcpy(&length, bytes.data() + at + 16, sizeof length);
        if (length < 20 || at + length > bytes.size()) break;
        const std::string name = name_in(bytes, at + 19, at + length);
        if (name != "." && name != "..") expected.push_back(name);
        at += length;
    }
    std::vector<asyncio::DirEntry> entries;
    asyncio::internal::take_dir_entries(bytes, entries);
    std::vector<std::string> names;
    for (const auto& entry : entries) names.push_back(entry.name);
    require(names == expected, "the entries are those of the simple walk");
}

/// The watches 1 to 3 exist at the beginning. A record is the number, the mask, the cookie and the
/// length of the name, 4 bytes each, and the name.
void read_events(Input input) {
    using Kind = asyncio::FileEvent::Kind;
    std::size_t records = 0;
    std::size_t halves = 0;
    const std::string bytes = input.all();
    for (std::size_t at = 0; at + 16 <= bytes.size(); ++records) {
        std::uint32_t fields[4];
        std::memcpy(fields, bytes.data() + at, sizeof fields);
        if (fields[3] > bytes.size() - at - 16) break;
        if ((fields[1] & IN_MOVED_TO) != 0) ++halves;
        at += 16 + fields[3];
    }
    asyncio::internal::WatchedPaths paths = {{1, "/a"}, {2, "/b/"}, {3, "c"}};
    std::deque<asyncio::FileEvent> events;
    asyncio::internal::take_watch_events(bytes, paths, events);
    require(events.size() <= records, "a record is one event at most");
    std::size_t joined = 0;
    for (const asyncio::FileEvent& event : events) {
        if (!event.to.empty()) ++joined;
        require(event.to.empty() || event.kind == Kind::moved, "only a move has a new path");
        const bool is_known = event.path.starts_with("/a") || event.path.starts_with("/b/") ||
                              event.path.starts_with("c");
        require(event.path.empty() || is_known, "the path is that of a watch");
        require(event.path.find('\0') == event.path.npos, "a path has no NUL");
    }
    require(joined <= halves, "each joined rename has its second half");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    Input input(bytes, size);
    if (input.below(2) == 0) {
        read_folder(input);
    } else {
        read_events(input);
    }
    return 0;
}
