// Reading, writing and listing in memory, with the results of Linux.
//
// An open file has one position, which all its descriptors share, and `read` and `write` move it
// when they are carried out. So two reads in flight at the same time get different bytes, in an
// order that the plan decides, as two threads would in a kernel.

#include "backend/simulated/open_file.h"

#include "backend/simulated/give_bytes.h"
#include "backend/simulated/notifications.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>

namespace asyncio::lowlevel::simulated {
namespace {

/// The limit of read(2) and write(2), which also makes a count fit an int.
constexpr std::size_t most_bytes = 0x7ffff000;

/// `write` and `read` use the position; the others name the place.
bool names_place(OperationKind kind) noexcept {
    return kind == OperationKind::pread || kind == OperationKind::pwrite;
}

/// As in the kernel's linux_dirent64: the name ends with a zero, and records are aligned to eight.
std::size_t size_of_record(std::string_view name) noexcept {
    return (offsetof(dirent64, d_name) + name.size() + 1 + 7) / 8 * 8;
}

void write_record(char* to, std::string_view name, const Node& node) noexcept {
    const auto size = static_cast<unsigned short>(size_of_record(name));
    std::memset(to, 0, size);
    dirent64 record;
    record.d_ino = node.number;
    record.d_off = 0;
    record.d_reclen = size;
    record.d_type = node.is_folder() ? DT_DIR : DT_REG;
    std::memcpy(to, &record, offsetof(dirent64, d_name));
    std::memcpy(to + offsetof(dirent64, d_name), name.data(), name.size());
}

}  // namespace

// --- Files and folders ---------------------------------------------------------------------------

/// A file that has lost its name lives until the last close, and its watchers are told then. The
/// node is let go here and not in the destructor, because the world may keep the object for a
/// while. No operation comes to an object that is closed.
void OpenNode::close(int, Surroundings& around) noexcept {
    const NodePtr node = std::move(node_);
    if (--node->openings == 0 && !node->is_named()) tell_gone(*node, around.changes);
}

/// Also at the end of the file and on a full disk: readiness promises no success.
int OpenNode::events(int) const noexcept { return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM; }

/// EPERM: an event that a file never reports is refused, as the back-ends of the kernel do it.
int OpenNode::foresee_common(const Operation& operation, int side) const noexcept {
    if (operation.kind == OperationKind::fsync) return 0;
    if (operation.kind != OperationKind::poll) return error_without_support(operation.kind, false);
    const int answer = foresee_poll(operation, side);
    return answer == would_block ? -EPERM : answer;
}

// --- Files ---------------------------------------------------------------------------------------

bool OpenFile::may_read() const noexcept { return (flags_ & O_ACCMODE) != O_WRONLY; }
bool OpenFile::may_write() const noexcept { return (flags_ & O_ACCMODE) != O_RDONLY; }

/// A place behind the end has nothing to read, and is no error.
std::size_t OpenFile::available(std::int64_t offset, std::size_t most) const noexcept {
    const std::size_t length = file_.bytes.size();
    const auto start = static_cast<std::size_t>(std::max<std::int64_t>(offset, 0));
    return start >= length ? 0 : std::min(most, length - start);
}

std::string_view OpenFile::bytes_at(std::int64_t offset, std::size_t most) const noexcept {
    const std::int64_t place = offset < 0 ? position_ : offset;
    const std::size_t count = available(place, std::min(most, most_bytes));
    if (count == 0) return {};
    return {file_.bytes.data() + place, count};
}

/// A read that brings no memory gets no more than the world's scratch buffer holds.
int OpenFile::readable(const Operation& operation, std::int64_t offset) const noexcept {
    if (!may_read()) return -EBADF;
    if (offset < 0) return -EINVAL;
    return static_cast<int>(available(offset, std::min(room_of(operation), most_bytes)));
}

/// A file that was opened for appending is written at its end, also by `pwrite`, as in Linux.
std::int64_t OpenFile::place_of_write(std::int64_t offset) const noexcept {
    const bool appends = (flags_ & O_APPEND) != 0;
    return appends ? static_cast<std::int64_t>(file_.bytes.size()) : offset;
}

/// What the gap before the place takes counts as well: the world's files have no holes.
int OpenFile::writable(const Operation& operation, std::int64_t offset) const noexcept {
    if (!may_write()) return -EBADF;
    if (offset < 0) return -EINVAL;
    if (operation.size == 0) return 0;
    const auto place = static_cast<std::uint64_t>(place_of_write(offset));
    const std::uint64_t end_of_room = file_.bytes.size() + file_.disk.free_bytes();
    if (place >= end_of_room) return -ENOSPC;
    const std::uint64_t wanted = std::min(operation.size, most_bytes);
    return static_cast<int>(std::min(wanted, end_of_room - place));
}

/// Linux answers EINVAL, and not EBADF, if the file was opened for reading.
int OpenFile::resizable(std::int64_t size) const noexcept {
    if (size < 0 || !may_write()) return -EINVAL;
    const std::uint64_t end_of_room = file_.bytes.size() + file_.disk.free_bytes();
    return static_cast<std::uint64_t>(size) > end_of_room ? -ENOSPC : 0;
}

/// No operation of a file ever has to wait. What takes time in a kernel takes the time that the
/// plan appoints.
int OpenFile::foresee(const Operation& operation, int side) const noexcept {
    const OperationKind kind = operation.kind;
    const std::int64_t offset = names_place(kind) ? operation.offset : position_;
    if (kind == OperationKind::read || kind == OperationKind::pread)
        return readable(operation, offset);
    if (kind == OperationKind::write || kind == OperationKind::pwrite)
        return writable(operation, offset);
    if (kind == OperationKind::ftruncate) return resizable(operation.offset);
    return foresee_common(operation, side);
}

int OpenFile::carry_out(Operation& operation, int, int foreseen, Surroundings& around) {
    const OperationKind kind = operation.kind;
    if (kind == OperationKind::ftruncate) {
        file_.resize(static_cast<std::size_t>(operation.offset));
        note_change(around);
        return 0;
    }
    const bool reads = kind == OperationKind::read || kind == OperationKind::pread;
    const bool writes = kind == OperationKind::write || kind == OperationKind::pwrite;
    if (foreseen == 0 || (!reads && !writes)) return foreseen;
    const std::int64_t offset = names_place(kind) ? operation.offset : position_;
    const auto most = static_cast<std::size_t>(foreseen);
    return reads ? read(operation, offset, most, around) : write(operation, offset, most, around);
}

/// Without memory for a read that brings none, the position stays.
int OpenFile::read(Operation& operation, std::int64_t offset, std::size_t most,
                   Surroundings& around) {
    const std::size_t count = around.plan.shortened(most);
    const char* from = file_.bytes.data() + offset;
    const int result = give_bytes(operation, count, around.scratch,
                                  [&](char* to) { std::memcpy(to, from, count); });
    if (result < 0) return result;
    if (!names_place(operation.kind)) position_ += result;
    tell(file_, IN_ACCESS, around.changes);
    return result;
}

/// The file grows first: without memory nothing has happened.
int OpenFile::write(const Operation& operation, std::int64_t offset, std::size_t most,
                    Surroundings& around) {
    const std::size_t count = around.plan.shortened(most);
    const auto place = static_cast<std::size_t>(place_of_write(offset));
    if (place + count > file_.bytes.size()) file_.resize(place + count);
    std::memcpy(file_.bytes.data() + place, operation.buffer, count);
    if (!names_place(operation.kind)) position_ = static_cast<std::int64_t>(place + count);
    note_change(around);
    return static_cast<int>(count);
}

/// What every change of the bytes brings with it.
void OpenFile::note_change(Surroundings& around) noexcept {
    file_.modified = file_.changed = around.now;
    tell(file_, IN_MODIFY, around.changes);
}

/// A program that follows a file waits for this event, which says that its writer has finished.
void OpenFile::close(int side, Surroundings& around) noexcept {
    tell(file_, may_write() ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE, around.changes);
    OpenNode::close(side, around);
}

// --- Folders -------------------------------------------------------------------------------------

/// A folder that was removed has no entries, not even its dots.
int OpenFolder::foresee(const Operation& operation, int side) const noexcept {
    const OperationKind kind = operation.kind;
    if (kind == OperationKind::read || kind == OperationKind::pread) return -EISDIR;
    if (kind == OperationKind::write || kind == OperationKind::pwrite) return -EBADF;
    if (kind != OperationKind::getdents) return foresee_common(operation, side);
    if (!folder_.is_named()) return -ENOENT;
    Cursor cursor = cursor_;
    const std::size_t size = list(nullptr, std::min(operation.size, most_bytes), cursor);
    const bool fits = size > 0 || !next_of(cursor).node;
    return fits ? static_cast<int>(size) : -EINVAL;
}

/// The cursor names its last entry by a copy, because the entry may be gone at the next call. The
/// copy is made before anything is kept, so that a lack of memory changes nothing.
int OpenFolder::carry_out(Operation& operation, int, int foreseen, Surroundings&) {
    if (operation.kind != OperationKind::getdents) return foreseen;
    Cursor cursor = cursor_;
    list(static_cast<char*>(operation.buffer), static_cast<std::size_t>(foreseen), cursor);
    std::string last(cursor.last);
    last_.swap(last);
    cursor_ = {cursor.dots, last_};
    return foreseen;
}

/// The entry behind the cursor; without a node if there is none.
OpenFolder::Entry OpenFolder::next_of(const Cursor& cursor) const noexcept {
    if (cursor.dots == 0) return {".", &folder_};
    if (cursor.dots == 1) return {"..", folder_.folder};
    const auto found = folder_.entries.upper_bound(cursor.last);
    if (found == folder_.entries.end()) return {};
    return {found->first, found->second.get()};
}

/// Puts as many records as fit into `size` to `to`, and moves the cursor behind them. Without `to`
/// it only measures. Returns the bytes of the records.
std::size_t OpenFolder::list(char* to, std::size_t size, Cursor& cursor) const noexcept {
    std::size_t filled = 0;
    for (Entry entry = next_of(cursor); entry.node != nullptr; entry = next_of(cursor)) {
        const std::size_t record = size_of_record(entry.name);
        if (filled + record > size) break;
        if (to != nullptr) write_record(to + filled, entry.name, *entry.node);
        filled += record;
        if (cursor.dots < 2) {
            ++cursor.dots;
        } else {
            cursor.last = entry.name;
        }
    }
    return filled;
}

}  // namespace asyncio::lowlevel::simulated
