// Callbacks on descriptors: the life of a watch, which is one direction of one descriptor.
//
// A watch is a poll operation, and a node of the loop. Where it can be:
//   waiting    the operation is in flight
//   ready      the node is in the ready queue; nothing is in flight
//   running    the callback is being called
//   removed    the table does not know it any more; it destroys itself when the operation is
//              reported, or when the callback returns
//
// A turn of the node calls the callback once and polls again. If the descriptor is still ready, the
// poll finishes at once, and the node stands at the end of the ready queue: it has its turn in the
// next iteration, behind what has become ready meanwhile. So a callback that leaves bytes unread is
// called again, and keeps nothing else from running.
//
// A second `add_reader` makes a second watch, and then removes the first. The first must be gone
// for good: it may be ready already, and its turn must not call the new callback early.

#include "streams/loop_descriptors.h"

#include <asyncio/exceptions.h>
#include <asyncio/internal/loop/context_state.h>

#include "loop/callback.h"

#include <cerrno>
#include <string>
#include <utility>

#include <poll.h>
#include <sys/stat.h>

namespace asyncio::internal {

namespace {

/// Which file a number means. All zero for a number that the kernel does not know: it belongs to a
/// simulated world.
struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;

    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

FileIdentity identity_of(int fd) noexcept {
    struct stat about{};
    if (::fstat(fd, &about) != 0) return {};
    return {about.st_dev, about.st_ino};
}

/// epoll refuses a file, because it is always ready. The other back-ends would call the callback
/// without an end.
void require_no_file(int fd, const char* function) {
    struct stat about{};
    const bool is_file =
        ::fstat(fd, &about) == 0 && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode));
    if (is_file)
        throw OsError(EPERM, std::string(function) + " of descriptor " + std::to_string(fd));
}

constexpr const char* name_of(LoopDescriptors::Direction direction) noexcept {
    return direction == LoopDescriptors::Direction::reading ? "add_reader" : "add_writer";
}

}  // namespace

// --- A watch ------------------------------------------------------------------------------------

class DescriptorWatch final : Ready {
public:
    /// What the watch needs to remove itself.
    struct Place {
        LoopDescriptors& table;
        int fd;
        LoopDescriptors::Direction direction;
    };

    DescriptorWatch(EventLoop& loop, const Place& place, UniqueFunction<void()> callback)
        : loop_(loop),
          place_(place),
          file_(identity_of(place.fd)),
          callback_(std::move(callback)),
          context_(current_context().copy()) {
        run = &take_turn;
        poll_.watch = this;
        poll_.on_finished = &reported;
        poll_.kind = lowlevel::OperationKind::poll;
        poll_.fd = place.fd;
        poll_.events = place.direction == LoopDescriptors::Direction::reading ? POLLIN : POLLOUT;
    }

    /// Begins to wait. Returns 0, or the errno for which there is nothing to wait for.
    int start() noexcept {
        poll();
        return poll_.state == lowlevel::Operation::State::finished && poll_.result < 0
                   ? -poll_.result
                   : 0;
    }

    /// Whether the number still means the file for which this was made.
    bool is_current() const noexcept { return file_ == identity_of(place_.fd); }

    /// The table has forgotten this watch. The captures of the callback are destroyed now, unless
    /// it is running.
    void remove() noexcept {
        removed_ = true;
        if (running_) return;
        if (linked()) unlink();
        if (poll_.is_pending()) {
            loop_.cancel(poll_);
            const UniqueFunction<void()> callback = std::move(callback_);
        } else {
            delete this;
        }
    }

private:
    struct PollOperation : lowlevel::Operation {
        DescriptorWatch* watch = nullptr;
    };

    static void reported(lowlevel::Operation& operation) noexcept;
    static void take_turn(Ready& node) noexcept;
    void poll() noexcept;
    void call() noexcept;
    void end() noexcept;

    EventLoop& loop_;
    Place place_;
    FileIdentity file_;
    PollOperation poll_;
    UniqueFunction<void()> callback_;
    ContextRef context_;
    bool running_ = false;
    bool removed_ = false;
};

/// A poll that has finished already is reported as any other, in the next iteration.
void DescriptorWatch::poll() noexcept {
    if (loop_.submit(poll_) == lowlevel::Backend::Submitted::finished) loop_.schedule(*this);
}

void DescriptorWatch::reported(lowlevel::Operation& operation) noexcept {
    DescriptorWatch& self = *static_cast<PollOperation&>(operation).watch;
    if (self.removed_) {
        delete &self;
    } else {
        self.loop_.schedule(self);
    }
}

void DescriptorWatch::take_turn(Ready& node) noexcept {
    auto& self = static_cast<DescriptorWatch&>(node);
    if (self.poll_.result < 0 || !self.is_current()) return self.end();
    self.call();
}

void DescriptorWatch::call() noexcept {
    running_ = true;
    call_in_loop(loop_, context_, callback_);
    running_ = false;
    if (removed_) {
        delete this;
    } else {
        poll();
    }
}

/// A close is the program's will, by whatever call it comes, and so is the use of the number for
/// another file.
void DescriptorWatch::end() noexcept {
    const int error = poll_.result < 0 ? -poll_.result : 0;
    if (error != 0 && error != ECANCELED && error != EBADF) {
        const OsError reason(error, "watch descriptor " + std::to_string(place_.fd));
        loop_.call_exception_handler({.message = "a callback of add_reader or add_writer has ended",
                                      .exception = std::make_exception_ptr(reason)});
    }
    place_.table.remove(place_.fd, place_.direction);
}

// --- The table ----------------------------------------------------------------------------------

LoopDescriptors& LoopDescriptors::of(EventLoop& loop) {
    LoopDescriptors*& descriptors = loop.belongings().descriptors;
    if (descriptors == nullptr) descriptors = new LoopDescriptors(loop);
    return *descriptors;
}

LoopDescriptors::LoopDescriptors(EventLoop& loop) noexcept : loop_(loop) {
    run = &loop_closes;
    loop.at_close().push_back(*this);
}

/// Destructors of captures run here, and may ask for callbacks: the loop has forgotten this object
/// before.
LoopDescriptors::~LoopDescriptors() {
    while (!watches_.empty()) forget(watches_.begin()->first);
}

void LoopDescriptors::loop_closes(AtClose& listener) noexcept {
    auto& self = static_cast<LoopDescriptors&>(listener);
    self.loop_.belongings().descriptors = nullptr;
    delete &self;
}

/// The old watch goes when the new one stands, so an error changes nothing.
void LoopDescriptors::add(int fd, Direction direction, UniqueFunction<void()> callback) {
    const char* const function = name_of(direction);
    if (is_claimed(fd))
        throw RuntimeError(std::string(function) + ": descriptor " + std::to_string(fd) +
                           " belongs to a stream, a server or a datagram endpoint");
    require_no_file(fd, function);
    forget_if_stale(fd);
    DescriptorWatch*& place = watches_[fd][static_cast<std::size_t>(direction)];
    const DescriptorWatch::Place where{*this, fd, direction};
    auto* const watch = new DescriptorWatch(loop_, where, std::move(callback));
    if (const int error = watch->start(); error != 0) {
        watch->remove();
        throw OsError(error, std::string(function) + " of descriptor " + std::to_string(fd));
    }
    if (DescriptorWatch* const before = std::exchange(place, watch)) before->remove();
}

/// The table is in order before a destructor of the program may run.
bool LoopDescriptors::remove(int fd, Direction direction) noexcept {
    const auto found = watches_.find(fd);
    if (found == watches_.end()) return false;
    DescriptorWatch* const watch =
        std::exchange(found->second[static_cast<std::size_t>(direction)], nullptr);
    if (found->second[0] == nullptr && found->second[1] == nullptr) watches_.erase(found);
    if (watch != nullptr) watch->remove();
    return watch != nullptr;
}

/// A poll that waits for the file that had the number before would keep the back-end from watching
/// the new file.
void LoopDescriptors::forget_if_stale(int fd) noexcept {
    const auto found = watches_.find(fd);
    if (found == watches_.end()) return;
    for (const DescriptorWatch* const watch : found->second) {
        if (watch != nullptr && !watch->is_current()) return forget(fd);
    }
}

void LoopDescriptors::forget(int fd) noexcept {
    remove(fd, Direction::reading);
    remove(fd, Direction::writing);
}

// --- Claims -------------------------------------------------------------------------------------

bool LoopDescriptors::is_claimed(int fd) const noexcept {
    if (fd < 0) return false;
    const auto page = claims_.find(fd / page_size);
    return page != claims_.end() && page->second.test(static_cast<std::size_t>(fd % page_size));
}

void LoopDescriptors::claim(int fd) noexcept {
    if (fd < 0) return;
    forget(fd);
    try {
        claims_[fd / page_size].set(static_cast<std::size_t>(fd % page_size));
    } catch (const std::bad_alloc&) {
        // See the declaration.
    }
}

void LoopDescriptors::disclaim(int fd) noexcept {
    if (fd < 0) return;
    const auto page = claims_.find(fd / page_size);
    if (page != claims_.end()) page->second.reset(static_cast<std::size_t>(fd % page_size));
}

/// A closed loop would never free the table, and watches nothing.
void claim_descriptor(EventLoop& loop, int fd) noexcept {
    if (loop.is_closed()) return;
    try {
        LoopDescriptors::of(loop).claim(fd);
    } catch (const std::bad_alloc&) {
        // See `LoopDescriptors::claim`.
    }
}

void disclaim_descriptor(EventLoop& loop, int fd) noexcept {
    if (LoopDescriptors* const descriptors = loop.belongings().descriptors)
        descriptors->disclaim(fd);
}

}  // namespace asyncio::internal

// --- The functions of the loop ------------------------------------------------------------------

namespace asyncio {

using Direction = internal::LoopDescriptors::Direction;

void EventLoop::add_reader(int fd, internal::UniqueFunction<void()> callback) {
    check_open("EventLoop::add_reader()");
    check_thread();
    internal::LoopDescriptors::of(*this).add(fd, Direction::reading, std::move(callback));
}

void EventLoop::add_writer(int fd, internal::UniqueFunction<void()> callback) {
    check_open("EventLoop::add_writer()");
    check_thread();
    internal::LoopDescriptors::of(*this).add(fd, Direction::writing, std::move(callback));
}

bool EventLoop::remove_reader(int fd) {
    check_thread();
    auto* const descriptors = belongings().descriptors;
    return descriptors != nullptr && descriptors->remove(fd, Direction::reading);
}

bool EventLoop::remove_writer(int fd) {
    check_thread();
    auto* const descriptors = belongings().descriptors;
    return descriptors != nullptr && descriptors->remove(fd, Direction::writing);
}

}  // namespace asyncio
