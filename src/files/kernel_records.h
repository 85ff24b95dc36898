#pragma once
// The records that the kernel writes about files: the entries of a folder (getdents64(2)) and the
// events of a watch (inotify(7)).
//
// Both calls fill a buffer with records of different lengths, and each record says its own length.
// The lengths are checked, although a kernel has written them: an entry comes from the file system,
// which may be a program (FUSE) or a broken disk. Records behind a wrong length are dropped: where
// they begin is not known.
//
// A rename is two records with one cookie, which stand side by side in the kernel's queue, so the
// second one is looked for only directly behind the first.
//
// The functions are not hidden in the sources that use them, so that tests and a fuzzer reach them.
//
// Thread-safety: none of its own.

#include <asyncio/files.h>
#include <asyncio/watch.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <dirent.h>
#include <sys/inotify.h>

namespace asyncio::internal {

/// The text up to its NUL; all of it if there is none.
inline std::string_view until_nul(std::string_view text) noexcept {
    return text.substr(0, text.find('\0'));
}

/// A file system that does not keep the type with the name says so, and a program asks `stat`.
inline DirEntry::Type type_of(unsigned char type) noexcept {
    using Type = DirEntry::Type;
    switch (type) {
        case DT_REG: return Type::file;
        case DT_DIR: return Type::dir;
        case DT_LNK: return Type::symlink;
        case DT_UNKNOWN: return Type::unknown;
        default: return Type::other;
    }
}

/// Appends the entries of a folder, except "." and "..". Throws: `std::bad_alloc`.
inline void take_dir_entries(std::string_view records, std::vector<DirEntry>& entries) {
    constexpr std::size_t name_begin = offsetof(dirent64, d_name);
    while (records.size() > name_begin) {
        decltype(dirent64::d_reclen) length = 0;
        std::memcpy(&length, records.data() + offsetof(dirent64, d_reclen), sizeof length);
        if (length <= name_begin || length > records.size()) return;
        const auto type = static_cast<unsigned char>(records[offsetof(dirent64, d_type)]);
        const std::string_view name = until_nul(records.substr(name_begin, length - name_begin));
        if (name != "." && name != "..") entries.push_back({std::string(name), type_of(type)});
        records.remove_prefix(length);
    }
}

/// The path of each watch, by its number.
using WatchedPaths = std::map<int, std::string>;

/// The path of a record: that of its watch, and behind it the name. Empty for an unknown number,
/// whose watch was removed while the record was on its way.
inline std::string path_of(const WatchedPaths& paths, int number, std::string_view name) {
    const auto watched = paths.find(number);
    if (watched == paths.end()) return {};
    std::string path = watched->second;
    if (name.empty()) return path;
    if (!path.ends_with('/')) path += '/';
    return path += name;
}

/// The kernel sets one of these bits in a record. The first half of a rename counts as a removal,
/// until the second half turns it into a move.
inline FileEvent::Kind kind_of(std::uint32_t mask) noexcept {
    using Kind = FileEvent::Kind;
    if ((mask & IN_Q_OVERFLOW) != 0) return Kind::overflow;
    if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) return Kind::created;
    if ((mask & IN_MODIFY) != 0) return Kind::modified;
    if ((mask & IN_MOVE_SELF) != 0) return Kind::moved;
    return Kind::removed;
}

/// The first half of a rename waits for the second, which is the next record or does not come.
class WatchRecords {
public:
    WatchRecords(WatchedPaths& paths, std::deque<FileEvent>& events) noexcept
        : paths_(paths), events_(events) {}

    void take(const inotify_event& record, std::string_view name) {
        const bool completes = (record.mask & IN_MOVED_TO) != 0 && record.cookie == cookie_;
        const std::uint32_t cookie = std::exchange(cookie_, 0);
        if ((record.mask & IN_IGNORED) != 0) {
            paths_.erase(record.wd);
            return;
        }
        std::string path = path_of(paths_, record.wd, name);
        if (path.empty() && record.wd >= 0) return;
        if (completes && cookie != 0) {
            events_.back().kind = FileEvent::Kind::moved;
            events_.back().to = std::move(path);
            return;
        }
        if ((record.mask & IN_MOVED_FROM) != 0) cookie_ = record.cookie;
        FileEvent event;
        event.kind = kind_of(record.mask);
        event.path = std::move(path);
        event.is_dir = (record.mask & IN_ISDIR) != 0;
        events_.push_back(std::move(event));
    }

private:
    WatchedPaths& paths_;
    std::deque<FileEvent>& events_;
    std::uint32_t cookie_ = 0;
};

/// Appends the events of watches. The last record of a watch removes its path. The names are filled
/// with NULs, so that the next record is aligned. Throws: `std::bad_alloc`.
inline void take_watch_events(std::string_view records, WatchedPaths& paths,
                              std::deque<FileEvent>& events) {
    WatchRecords taken(paths, events);
    while (records.size() >= sizeof(inotify_event)) {
        inotify_event record;
        std::memcpy(&record, records.data(), sizeof record);
        records.remove_prefix(sizeof record);
        if (record.len > records.size()) return;
        taken.take(record, until_nul(records.substr(0, record.len)));
        records.remove_prefix(record.len);
    }
}

}  // namespace asyncio::internal
