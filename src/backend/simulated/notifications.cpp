// The queue of events, and the functions that fill it.
//
// A read takes whole events, as many as fit. It fails with EINVAL if the first one does not fit,
// and the event stays. Each record is an inotify_event and the name behind it, which is filled up
// with zeros so that the next record is aligned.

#include "backend/simulated/notifications.h"

#include "backend/simulated/give_bytes.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include <poll.h>
#include <sys/inotify.h>

namespace asyncio::lowlevel::simulated {
namespace {

/// A name in a record ends with a zero, and is filled up to whole records, as in Linux.
std::size_t room_for_name(std::string_view name) noexcept {
    constexpr std::size_t unit = sizeof(inotify_event);
    return name.empty() ? 0 : (name.size() / unit + 1) * unit;
}

/// Where the path of an IN_ADD_WATCH leads, as a result: 0 or −errno.
int check_watched(const Place& place, std::size_t mask) noexcept {
    if (place.error != 0) return place.error;
    if (place.node == nullptr) return -ENOENT;
    const bool needs_folder = place.means_folder || (mask & IN_ONLYDIR) != 0;
    if (needs_folder && !place.node->is_folder()) return -ENOTDIR;
    return (mask & IN_ALL_EVENTS) != 0 ? 0 : -EINVAL;
}

}  // namespace

// --- The descriptor ------------------------------------------------------------------------------

/// A path starts at the root, which is the working folder; inotify knows no other start.
Place Notifications::place_of(const Operation& operation) const noexcept {
    return walk(root_, root_, static_cast<const char*>(operation.buffer));
}

/// Each watcher has one descriptor, so the side has no meaning.
int Notifications::foresee(const Operation& operation, int side) const noexcept {
    const OperationKind kind = operation.kind;
    if (kind == OperationKind::read) return readable(room_of(operation));
    if (kind == OperationKind::poll) return foresee_poll(operation, side);
    if (kind == OperationKind::inotify_add_watch)
        return check_watched(place_of(operation), operation.size);
    if (kind == OperationKind::inotify_rm_watch)
        return watched_.contains(static_cast<int>(operation.offset)) ? 0 : -EINVAL;
    return error_without_support(kind, false);
}

/// The plan does not shorten a read: a part of an event would be of no use, and Linux gives all
/// that fit.
int Notifications::carry_out(Operation& operation, int, int foreseen, Surroundings& around) {
    if (operation.kind == OperationKind::inotify_add_watch)
        return add_watch(*place_of(operation).node, static_cast<std::uint32_t>(operation.size));
    if (operation.kind == OperationKind::inotify_rm_watch)
        remove_watch(static_cast<int>(operation.offset), around.changes);
    if (operation.kind != OperationKind::read) return foreseen;
    const auto size = static_cast<std::size_t>(foreseen);
    return give_bytes(operation, size, around.scratch, [&](char* to) { take_events(to, size); });
}

/// A watcher can be read and never be written.
int Notifications::events(int) const noexcept {
    return queue_.empty() && !overflowed_ ? 0 : POLLIN | POLLRDNORM;
}

/// How many bytes the events have that fit into `size`.
int Notifications::readable(std::size_t size) const noexcept {
    if (events(0) == 0) return would_block;
    std::size_t filled = 0;
    for (const Event& event : queue_) {
        if (filled + size_of(event) > size) break;
        filled += size_of(event);
    }
    if (queue_.empty() && size >= sizeof(inotify_event)) filled = sizeof(inotify_event);
    return filled == 0 ? -EINVAL : static_cast<int>(filled);
}

/// The event that events were lost comes last, and by itself.
void Notifications::take_events(char* to, std::size_t size) noexcept {
    if (queue_.empty()) {
        write({-1, IN_Q_OVERFLOW, 0, {}}, to);
        overflowed_ = false;
        return;
    }
    for (const char* end = to + size; to != end; queue_.pop_front()) to = write(queue_.front(), to);
}

/// As a record in the memory of the reader.
std::size_t Notifications::size_of(const Event& event) noexcept {
    return sizeof(inotify_event) + room_for_name(event.name);
}

/// Returns where the next event goes.
char* Notifications::write(const Event& event, char* to) noexcept {
    const std::size_t room = room_for_name(event.name);
    const inotify_event record{.wd = event.number,
                               .mask = event.mask,
                               .cookie = event.cookie,
                               .len = static_cast<std::uint32_t>(room)};
    std::memcpy(to, &record, sizeof record);
    to += sizeof record;
    std::memset(to, 0, room);
    std::ranges::copy(event.name, to);
    return to + room;
}

// --- Watches -------------------------------------------------------------------------------------

/// All or nothing, as the rest of the world. A program that watches a file under two names, or
/// twice, gets one number: the node decides, and not the path.
int Notifications::add_watch(Node& node, std::uint32_t mask) {
    for (Watch& watch : node.watches) {
        if (watch.notifications != this) continue;
        if ((mask & IN_MASK_CREATE) != 0) return -EEXIST;
        watch.mask = (mask & IN_MASK_ADD) != 0 ? watch.mask | mask : mask;
        return watch.number;
    }
    node.watches.reserve(node.watches.size() + 1);
    watched_.emplace(last_number_ + 1, node.weak_from_this());
    node.watches.push_back({this, ++last_number_, mask});
    return last_number_;
}

/// The node no longer tells this watcher anything.
void Notifications::leave(Node& node) noexcept {
    std::erase_if(node.watches, [this](const Watch& watch) { return watch.notifications == this; });
}

/// The program hears of the end as if the node had gone. So it can forget the number at one place.
void Notifications::remove_watch(int number, Changes& changes) noexcept {
    const NodePtr node = watched_.at(number).lock();
    if (node != nullptr) leave(*node);
    forget(number, changes);
}

/// IN_IGNORED comes whether it was asked for or not. Numbers are not given out again.
void Notifications::forget(int number, Changes& changes) noexcept {
    put(number, IN_IGNORED, 0, {}, changes);
    watched_.erase(number);
}

/// The nodes would otherwise keep the address of an object that is about to go.
void Notifications::close(int, Surroundings& around) noexcept {
    for (const auto& [number, weak] : watched_) {
        if (const NodePtr node = weak.lock()) leave(*node);
    }
    watched_.clear();
    around.changes.add(*this);
}

// --- Events --------------------------------------------------------------------------------------

/// While the loss of events was not read, further ones are lost, too.
void Notifications::put(int number, std::uint32_t mask, std::uint32_t cookie, std::string_view name,
                        Changes& changes) noexcept {
    changes.add(*this);
    if (overflowed_ || equals_last(number, mask, name)) return;
    overflowed_ = queue_.size() == most_events;
    if (overflowed_) return;
    try {
        queue_.push_back({number, mask, cookie, std::string(name)});
    } catch (const std::bad_alloc&) {
        overflowed_ = true;
    }
}

/// Renames have cookies and never equal each other.
bool Notifications::equals_last(int number, std::uint32_t mask,
                                std::string_view name) const noexcept {
    if (queue_.empty()) return false;
    const Event& last = queue_.back();
    return last.cookie == 0 && last.number == number && last.mask == mask && last.name == name;
}

/// An event of a file itself has no name. Linux leaves IN_ISDIR out here, also for folders.
void tell_own(Node& node, std::uint32_t event, Changes& changes) noexcept {
    for (const Watch& watch : node.watches) {
        if ((watch.mask & event) != 0)
            watch.notifications->put(watch.number, event, 0, {}, changes);
    }
}

void tell_of_name(Folder& folder, std::string_view name, std::uint32_t event, bool is_folder,
                  Changes& changes, std::uint32_t cookie) noexcept {
    const std::uint32_t mask = is_folder ? event | IN_ISDIR : event;
    for (const Watch& watch : folder.watches) {
        if ((watch.mask & event) == 0) continue;
        watch.notifications->put(watch.number, mask, cookie, name, changes);
    }
}

/// The folder's watchers come first, as in Linux.
void tell(Node& node, std::uint32_t event, Changes& changes) noexcept {
    if (node.is_named()) tell_of_name(*node.folder, node.name, event, node.is_folder(), changes);
    tell_own(node, event, changes);
}

/// The list is emptied after the walk: `forget` does not touch it.
void tell_gone(Node& node, Changes& changes) noexcept {
    tell_own(node, IN_DELETE_SELF, changes);
    for (const Watch& watch : node.watches) watch.notifications->forget(watch.number, changes);
    node.watches.clear();
}

}  // namespace asyncio::lowlevel::simulated
