#pragma once
// The objects behind the descriptors of the simulated world.
//
// The world decides *when* something happens: in `submit`, at an appointment, or after a change. An
// object decides *what* happens: whether an operation could be carried out now, with which result,
// and what it changes. So a new kind of thing (a socket, a listener, a file) is a new class here,
// and the world stays as it is.
//
// Asking is separate from doing. `foresee` tells the result that an operation would have now, and
// changes nothing. `carry_out` lets it happen. Between the two the world asks its plan whether now
// is the time, and waits if it is not. When the time has come, the world asks `foresee` again,
// because other operations may have come first.
//
// Sides. Several descriptors can name one object, as the two ends of a pipe do. Each names a side
// of the object, and the object gives the numbers of its sides their meaning. An object that has
// one descriptor has the side 0 only.
//
// Changes. Operations that would block wait in a list of their object. When an operation or a close
// changes an object, the object puts itself on the list of `Changes`. It also puts every other
// object there that is concerned (the socket at the other end, for example). The world then tries
// the operations that wait there, in the next `wait`.
//
// How an object is written
//
//  1. `foresee` asks for the kinds that the object supports, one by one. For all others it answers
//     `error_without_support`, which is the kernel's error. That function has a switch over all
//     kinds, without a `default`, so the compiler demands a decision for a new kind.
//  2. Where the kernel leaves the behaviour open, the object asks the plan. It asks only if there
//     is a choice, because each question takes a number from the sequence of the seed.
//  3. `carry_out` may throw `std::bad_alloc`, and nothing has happened then: the world turns it
//     into ENOMEM.
//  4. `foresee` changes nothing, and `carry_out` is not called for an error. So an error that is
//     reported once is foreseen as 0, and `carry_out` answers it. `carry_out` may also begin
//     something and answer `would_block`: the operation then waits for the end of it (connect).
//
// Thread-safety: none. An object belongs to one world.

#include <asyncio/internal/base/time.h>
#include <asyncio/lowlevel/operation.h>

#include "backend/attempt.h"
#include "backend/simulated/plan.h"

#include <cerrno>
#include <memory>
#include <utility>

#include <poll.h>

namespace asyncio::lowlevel::simulated {

class Changes;
class Deliveries;
class Descriptors;
class Network;
class Object;
using ObjectPtr = std::shared_ptr<Object>;

/// The error of the kernel for a kind that an object does not support. `names_socket` says whether
/// the object is a socket.
constexpr int error_without_support(OperationKind kind, bool names_socket) noexcept {
    switch (kind) {
        case OperationKind::bind:
        case OperationKind::listen:
        case OperationKind::shutdown:
        case OperationKind::getsockname:
        case OperationKind::getpeername:
        case OperationKind::setsockopt:
        case OperationKind::getsockopt:
        case OperationKind::accept:
        case OperationKind::connect:
        case OperationKind::recv:
        case OperationKind::send:
        case OperationKind::recvmsg:
        case OperationKind::sendmsg:
        case OperationKind::recvmmsg:
        case OperationKind::sendmmsg: return names_socket ? -EOPNOTSUPP : -ENOTSOCK;
        case OperationKind::pread:
        case OperationKind::pwrite: return -ESPIPE;
        case OperationKind::open:
        case OperationKind::statx:
        case OperationKind::unlink:
        case OperationKind::mkdir:
        case OperationKind::rename:
        case OperationKind::getdents: return -ENOTDIR;
        case OperationKind::read:
        case OperationKind::write:
        case OperationKind::poll:
        case OperationKind::sendfile:
        case OperationKind::fsync:
        case OperationKind::ftruncate:
        case OperationKind::inotify_init:
        case OperationKind::inotify_add_watch:
        case OperationKind::inotify_rm_watch:
        case OperationKind::socket:
        case OperationKind::pipe:
        case OperationKind::close: break;
    }
    return -EINVAL;
}

/// The parts of its world that an object uses while it carries out an operation.
struct Surroundings {
    Plan& plan;
    /// For operations that make descriptors.
    Descriptors& descriptors;
    Changes& changes;
    /// For reads that bring no buffer of their own.
    Scratch& scratch;
    Network& network;
    /// For what arrives later.
    Deliveries& deliveries;
    /// The world's clock.
    const TimePoint& now;

    TimePoint after(Duration time) const noexcept { return internal::add_saturating(now, time); }
};

class Object : public std::enable_shared_from_this<Object> {
public:
    Object() = default;
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;
    virtual ~Object() = default;

    /// The result that `operation`, submitted on the descriptor of `side`, would have if it was
    /// carried out now and as a whole; or `would_block`.
    virtual int foresee(const Operation& operation, int side) const noexcept = 0;

    /// Does what `foresee` promised, or a part of it where the plan says so. Called only when
    /// `foresee` has just answered `foreseen`, which is not negative. Returns the result, or
    /// `would_block`.
    virtual int carry_out(Operation& operation, int side, int foreseen, Surroundings& around) = 0;

    /// The last descriptor of `side` was closed. Called once for each side.
    virtual void close(int side, Surroundings& around) noexcept = 0;

    /// The operations that would block, in the order in which they came. The world puts them here
    /// and takes them out.
    OperationList waiting;

protected:
    /// The poll events that hold at `side`, asked for or not.
    virtual int events(int side) const noexcept = 0;

    /// `foresee` for a poll. As in poll(2), POLLERR and POLLHUP are reported whether they are asked
    /// for or not.
    int foresee_poll(const Operation& operation, int side) const noexcept {
        const int answer = events(side) & (operation.events | POLLERR | POLLHUP);
        return answer != 0 ? answer : would_block;
    }

private:
    friend Changes;
    bool changed_ = false;
    ObjectPtr next_changed_;
};

/// The objects to which something happened since their waiting operations were last tried, in the
/// order of these changes. The list runs through the objects themselves and so needs no memory. It
/// owns them: an object whose descriptors are all closed is still there when the list comes to it.
class Changes {
public:
    Changes() = default;
    Changes(const Changes&) = delete;
    Changes& operator=(const Changes&) = delete;
    /// Takes the objects off in a loop: the destructor of a long chain would recurse.
    ~Changes() {
        while (!empty()) pop();
    }

    bool empty() const noexcept { return first_ == nullptr; }

    /// Puts the object at the end of the list, once: its operations are tried together, however
    /// often it changed.
    void add(Object& object) noexcept {
        if (std::exchange(object.changed_, true)) return;
        (first_ == nullptr ? first_ : last_->next_changed_) = object.shared_from_this();
        last_ = &object;
    }

    ObjectPtr pop() noexcept {
        ObjectPtr object = std::move(first_);
        first_ = std::move(object->next_changed_);
        object->changed_ = false;
        return object;
    }

private:
    ObjectPtr first_;
    Object* last_ = nullptr;
};

}  // namespace asyncio::lowlevel::simulated
