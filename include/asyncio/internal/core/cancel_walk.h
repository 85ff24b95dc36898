#pragma once
// The way of a request to cancel, along a chain of awaits.
//
// A task that waits for a task hands the request on to that one; a gather hands it on to each of
// its parts. The program decides how long such a chain is: a chain of a hundred thousand tasks is a
// queue of requests that must keep their order. So the walk is a loop and not a recursion. The path
// back to where the request came from is stored in the relays themselves, and nothing is allocated.
//
// The same links are the marks of the walk. A request reaches each relay once, however many paths
// lead there. Otherwise tasks that share what they wait for would be asked once for each path, and
// there can be exponentially many.
//
// A request may come to a relay that is already on its own path. Then the waits form a circle:
// tasks that wait for each other, a gather that contains the task that awaits it, or a child that
// waits for the task whose scope waits for its children. No member of the circle would ever end and
// wake the others. So the innermost task on the path is woken itself, and its end unwinds the rest,
// as at the end of a chain.
//
// Thread-safety: loop thread only.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace asyncio::internal {

class CancelWalk;
class FutureBase;
class TaskCore;

/// The base of everything that hands a request on to what it waits for: tasks and gathers.
class CancelRelay {
public:
    CancelRelay(const CancelRelay&) = delete;
    CancelRelay& operator=(const CancelRelay&) = delete;

    /// The future that the relay waits for at this moment, by number from zero; null beyond the
    /// last.
    virtual FutureBase* awaited(std::size_t index) const noexcept = 0;
    /// The task that this relay is; null if it is none.
    virtual TaskCore* as_task() noexcept { return nullptr; }

    // For the walk only. The walk is not made a friend, because g++ warns of a destructor that is
    // not virtual in a class that has friends.

    /// The request has arrived. Returns the first future that must be asked; null if there is none.
    virtual FutureBase* receive(std::string_view message) noexcept = 0;
    /// The future that was asked last has answered. Returns the next one; null if none is left.
    virtual FutureBase* answered(bool will_end, std::string_view message) noexcept = 0;
    /// Whether the request will end the relay. False: it has ended already.
    virtual bool answer() noexcept = 0;
    /// Ends the wait in progress without asking what is waited for. False: the relay is no task,
    /// and does not wait itself.
    virtual bool break_wait() noexcept { return false; }

    /// Zero while no walk has come here. On the path of a walk: the relay that has asked; at the
    /// beginning of the path, this relay itself. From the moment the walk has left the relay until
    /// the walk has ended: tagged, the relay that was left before.
    std::uintptr_t walk_link = 0;

protected:
    CancelRelay() noexcept = default;
    ~CancelRelay() = default;
};

/// A walk begins with a request and ends with its destructor, which sets the links back.
class CancelWalk {
public:
    explicit CancelWalk(std::string_view message) noexcept : message_(message) {}
    CancelWalk(const CancelWalk&) = delete;
    CancelWalk& operator=(const CancelWalk&) = delete;
    ~CancelWalk();

    /// Asks `future` to end, and everything it waits for. False if it has ended already.
    bool ask(FutureBase& future) noexcept;
    /// The same on behalf of `asker`, which ends when `future` has ended: a scope that ends its
    /// children. A wait for `asker`, somewhere along the way, closes a circle.
    bool ask_for(CancelRelay& asker, FutureBase& future) noexcept;
    /// `relay` has received the request already, and `first` must be asked.
    void pass_on(CancelRelay& relay, FutureBase& first) noexcept;

private:
    /// The tag of a link whose relay was left.
    static constexpr std::uintptr_t left = 1;

    bool walk(FutureBase* asked) noexcept;
    FutureBase* arrive(FutureBase& asked, bool& answer) noexcept;
    void enter(CancelRelay& relay) noexcept;
    void leave(CancelRelay& relay) noexcept;
    CancelRelay* asker_of(const CancelRelay& relay) const noexcept;
    void break_circle() noexcept;

    std::string_view message_;
    /// The end of the path.
    CancelRelay* top_ = nullptr;
    /// The beginning of the path, if that relay must not be asked.
    CancelRelay* base_ = nullptr;
    /// The head of the list of relays that the walk has left.
    CancelRelay* left_last_ = nullptr;
};

}  // namespace asyncio::internal
