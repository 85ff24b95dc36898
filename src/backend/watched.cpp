// The calls on owned descriptors, and what each result tells about the next one.
//
// Why a short read empties the flag. A read of TCP brings all that there is, up to the size. So
// fewer bytes mean that nothing was left at that moment. Bytes that come later are an event of
// their own. There are two exceptions. The end of the stream may have come with the same event as
// the bytes, and would not be told again. And a read ends at the mark of urgent data, with bytes
// behind it. So after an event that tells of either, every read is tried (`told_once`).
//
// Why a short write does not. The kernel takes what fits. The next write would find the socket full
// in most cases, and learns it by one call.
//
// A poll names the events itself and has no call that would tell more: it is answered at once if
// poll(2) has an answer, and by the next event otherwise. A poll for one direction that is known to
// block needs no poll(2).

#include "backend/watched.h"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <sys/socket.h>

namespace asyncio::lowlevel {
namespace {

/// Whether the call has brought everything that there was. A peek leaves it there.
bool has_emptied(const Operation& operation, int result) noexcept {
    const bool reads_tcp =
        operation.kind == OperationKind::recv && operation.blocking == Blocking::owned_tcp;
    if (!reads_tcp || (operation.flags & MSG_PEEK) != 0 || result <= 0) return false;
    const std::size_t asked = operation.receive == nullptr
                                  ? operation.size
                                  : std::min(operation.size, Scratch::size_bytes);
    return static_cast<std::size_t>(result) < asked;
}

void append(OperationList& finished, Operation& operation, int result) noexcept {
    operation.result = result;
    finished.push_back(operation);
}

}  // namespace

/// Tries the call, and notes what its result says about the next one.
int Watched::attempt_on(WatchedSlot& slot, Operation& operation) noexcept {
    const int result = attempt(operation, scratch_);
    const Interest interest = interest_of(operation.kind);
    if (interest == Interest::writable) {
        if (result == would_block) slot.writable = false;
    } else if (interest == Interest::readable) {
        const bool emptied = has_emptied(operation, result) && !slot.told_once;
        if (result == would_block || emptied) slot.readable = false;
    }
    if (operation.kind == OperationKind::accept && result >= 0) note_new(result);
    return result;
}

/// Whether the call can be saved. Before the descriptor is watched the flags mean nothing. For a
/// poll this is known if it asks for one direction alone, and if nothing has happened that stays
/// true (the end, an error).
bool Watched::is_known_to_block(const WatchedSlot& slot, const Operation& operation) noexcept {
    if (!slot.watched) return false;
    const Interest interest = interest_of(operation.kind);
    const bool polls = interest == Interest::asked && !slot.told_once;
    const bool reads = interest == Interest::readable || (polls && operation.events == POLLIN);
    const bool writes = interest == Interest::writable || (polls && operation.events == POLLOUT);
    return (reads && !slot.readable) || (writes && !slot.writable);
}

int Watched::submit(Operation& operation) noexcept {
    if (operation.fd < 0) return -EBADF;
    if (!slots_.make_up_to(operation.fd)) return -ENOMEM;
    WatchedSlot& slot = slots_[operation.fd];
    const bool may_wait = !finishes_at_once(operation);
    if (!may_wait || !is_known_to_block(slot, operation)) {
        const int result = attempt_on(slot, operation);
        if (result != would_block || !may_wait) return result;
    }
    slot.fd = operation.fd;
    slot.is_tcp = operation.blocking == Blocking::owned_tcp;
    slot.line_of(operation).push_back(operation);
    return waits;
}

/// Within a direction the operations are served in the order in which they came.
void Watched::serve(WatchedSlot& slot, OperationList& line, OperationList& finished) noexcept {
    while (!line.empty()) {
        const int result = attempt_on(slot, line.front());
        if (result == would_block) return;
        append(finished, line.pop_front(), result);
    }
}

/// Polls come first: a read may take the data that a poll is about to report.
void Watched::ready(int fd, std::uint32_t generation, std::uint32_t events,
                    OperationList& finished) noexcept {
    WatchedSlot* slot = slots_.find(fd);
    if (slot == nullptr || !slot->watched) return;
    if ((slot->generation & generation_mask) != generation) return;
    constexpr std::uint32_t broken = POLLERR | POLLHUP;
    if ((events & (broken | POLLRDHUP | POLLPRI)) != 0) slot->told_once = true;
    slot->polls.for_each([&](Operation& poll) {
        const std::uint32_t answer = events & (events_of(poll) | broken);
        if (answer == 0) return;
        poll.unlink();
        append(finished, poll, static_cast<int>(answer));
    });
    if ((events & (POLLIN | POLLRDHUP | broken)) != 0) {
        slot->readable = true;
        serve(*slot, slot->reads, finished);
    }
    if ((events & (POLLOUT | broken)) != 0) {
        slot->writable = true;
        serve(*slot, slot->writes, finished);
    }
}

/// Nothing will ever wake these operations, so they must not stay.
void Watched::fail(WatchedSlot& slot, int error, OperationList& finished) noexcept {
    while (Operation* operation = slot.any()) {
        operation->unlink();
        append(finished, *operation, error);
    }
}

/// The generation is counted up, so that an event of the old file that is still on its way is told
/// from those of the next one.
bool Watched::forget(int fd, std::uint32_t& generation, OperationList& ended) noexcept {
    WatchedSlot* slot = slots_.find(fd);
    if (slot == nullptr) return false;
    fail(*slot, -ECANCELED, ended);
    slot->to_be_watched = false;
    generation = slot->generation++;
    const bool was_watched = slot->watched;
    unwatched(*slot);
    slot->told_once = false;
    return was_watched;
}

/// A close that was no operation of this back-end breaks the promise of `Blocking::owned`, and the
/// registration went with the file. The next socket of this number would wait for ever if the flags
/// stayed. So the number begins anew, unless operations are still waiting on it.
void Watched::note_new(int fd) noexcept {
    WatchedSlot* slot = slots_.find(fd);
    if (slot == nullptr || !slot->idle()) return;
    ++slot->generation;
    unwatched(*slot);
    slot->told_once = false;
}

/// Both flags are set, because a flag that is set in error costs one call, and a flag that is not
/// set in error costs a wake-up.
void Watched::unwatched(WatchedSlot& slot) noexcept {
    slot.watched = false;
    slot.readable = true;
    slot.writable = true;
}

}  // namespace asyncio::lowlevel
