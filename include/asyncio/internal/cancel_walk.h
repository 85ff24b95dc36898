#pragma once
// The way of a request to cancel, along a chain of awaits.
//
// A task that waits for a task hands the request on to that one; a gather hands it on to each of
// its parts. How long such a chain is, is up to the program: a chain of a hundred thousand tasks is
// a queue of requests that must keep their order. So the way is not a recursion but a loop. The
// path back to where the request came from lies in the relays themselves, and nothing is allocated.
//
// The same links are the marks of the walk. A request reaches each relay once, however many ways
// lead there: tasks that share what they wait for would else be asked once for each path, and there
// can be exponentially many. And a request that comes back to its own path has gone round in a
// circle: tasks that wait for each other, a gather that contains the task that awaits it, or a
// child that waits for the task whose scope waits for its children. There
// nobody is left whose end would wake the others, so the innermost task on the path is woken
// itself, and its end unwinds the rest, as at the end of a chain.
//
// Thread-safety: loop thread only.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace asyncio::internal {

class CancelWalk;
class FutureBase;
class TaskCore;

/// Whatever hands a request on to what it waits for.
class CancelRelay {
public:
    CancelRelay(const CancelRelay&) = delete;
    CancelRelay& operator=(const CancelRelay&) = delete;

    /// What it waits for now, by number from zero; null beyond the last.
    virtual FutureBase* awaited(std::size_t index) const noexcept = 0;
    /// Itself, if it is a task.
    virtual TaskCore* as_task() noexcept { return nullptr; }

    // For the walk, and for nothing else. It is no friend: g++ warns of a destructor that is not
    // virtual in a class that has friends.

    /// The request has arrived. Returns who is to be asked first; null if nobody.
    virtual FutureBase* receive(std::string_view message) noexcept = 0;
    /// The part that was asked last has answered. Returns the next to be asked; null if none is
    /// left.
    virtual FutureBase* answered(bool will_end, std::string_view message) noexcept = 0;
    /// Whether it will end of the request. False: it has ended already.
    virtual bool answer() noexcept = 0;
    /// Ends the wait in progress without asking what is waited for. False: it does not wait itself.
    virtual bool break_wait() noexcept { return false; }

    /// Zero: no walk has come by. On the path of one: who has asked; at its beginning, itself.
    /// Afterwards and until the walk has ended, tagged: the relay that was left before.
    std::uintptr_t walk_link = 0;

protected:
    CancelRelay() noexcept = default;
    ~CancelRelay() = default;
};

class CancelWalk {
public:
    explicit CancelWalk(std::string_view message) noexcept : message_(message) {}
    CancelWalk(const CancelWalk&) = delete;
    CancelWalk& operator=(const CancelWalk&) = delete;
    ~CancelWalk();

    /// Asks `future` to end, and whatever it waits for. False if it has ended.
    bool ask(FutureBase& future) noexcept;
    /// The same for `asker`, which is to end when `future` has: a scope winds up its children. A
    /// wait for `asker`, somewhere along the way, closes a circle.
    bool ask_for(CancelRelay& asker, FutureBase& future) noexcept;
    /// `relay` has received the request already, and wants `first` to be asked.
    void pass_on(CancelRelay& relay, FutureBase& first) noexcept;

private:
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
    /// Where the path begins, if that is to be asked nothing.
    CancelRelay* base_ = nullptr;
    CancelRelay* left_last_ = nullptr;
};

}  // namespace asyncio::internal
