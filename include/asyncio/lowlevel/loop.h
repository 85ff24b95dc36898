#pragma once
// The machine of the event loop: waits until an event has happened, runs the nodes that have become
// ready, and begins again. `EventLoop` (event_loop.h) is this machine with Python's functions.
//
// The rules of an iteration, which every other part builds on, and which are CPython's:
//   - The callbacks and tasks that are ready when an iteration starts run in it. A callback or task
//     that becomes ready during the iteration runs in the next one.
//   - The ready queue is first in, first out. There is one exception: a task whose operation is
//     found finished while other tasks are ready takes turns with these, one of each. (CPython
//     appends it to the queue; a descriptor then waits for every task that computes.)
//   - Within an iteration, finished operations become ready before expired timers. Timers with the
//     same deadline become ready in the order in which they were armed. (CPython leaves that last
//     order open.)
//   - A timer never fires early.
//
// These rules are a contract, tested against CPython. They decide every race inside one iteration:
// which of two tasks gets a lock, whether a result or a time limit comes first. A loop without such
// rules could be faster in places, for example by resuming a waiter at once inside `set_result`;
// then the order of events would depend on the depth of calls.
//
// Layers. The loop runs nodes (`internal::Ready`), and does not know whether a node is a task, a
// callback or the target of a timer. It keeps a list of tasks without knowing what they are, and
// asks one floor up (`core/residents.cpp`) when it has to describe them. So the loop can be read,
// and tested, without tasks.
//
// How other threads reach the loop. They push nodes onto the inbox, a lock-free stack that the loop
// takes as a whole at the start of each iteration and reverses. They do so through the gate
// (`internal/loop/loop_gate.h`), which refuses when the loop is closed, and outlives it.
//
// Thread-safety: a loop belongs to the thread that runs it. The exceptions are `post`, `gate`,
// `number` and `is_closed`.

#include <asyncio/delay.h>
#include <asyncio/internal/base/intrusive_list.h>
#include <asyncio/internal/base/time.h>
#include <asyncio/internal/loop/step.h>
#include <asyncio/lowlevel/backend.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace asyncio {
namespace internal {

class LoopGate;
class TimerHeap;

/// A node that the loop can run: the next step of a task, or a callback. It stands in one list at
/// most, and in none while it runs.
struct Ready : ListNode {
    void (*run)(Ready&) noexcept = nullptr;
};

using ReadyList = IntrusiveList<Ready>;

/// A deadline in the loop's heap. When it comes, `target` becomes ready. The owner of the timer
/// disarms it before the timer or its target is destroyed. A timer that has fired is disarmed
/// already.
struct Timer {
    static constexpr std::uint32_t disarmed = ~std::uint32_t{0};

    /// The timer's entry in the heap's table; see `base/timer_heap.h`.
    std::uint32_t slot = disarmed;
    Ready* target;  // set before the timer is armed
    /// The memory that `target` will touch first when it runs, to be fetched into the cache in
    /// advance.
    const void* touched_next = this;

    bool armed() const noexcept { return slot != disarmed; }
};

/// An element of a list that the loop keeps without knowing its elements. In practice: the tasks
/// that have not ended.
struct Resident : ListNode {};

/// A listener that is called when the loop closes. An object that keeps an operation in flight
/// without a task that awaits it (the watch over a child process, for example) cancels the
/// operation then. The loop takes the listener off the list before it calls it.
struct AtClose : ListNode {
    void (*run)(AtClose&) noexcept = nullptr;
};

/// Puts a loop on the list of all existing loops, with a number that no other loop has: see
/// `src/loop/live_loop.h`. So code that holds an address can tell whether its loop still exists.
class LiveLoop : ListNode {
public:
    LiveLoop() noexcept;
    LiveLoop(const LiveLoop&) = delete;
    LiveLoop& operator=(const LiveLoop&) = delete;
    ~LiveLoop();

    std::uint32_t number() const noexcept { return number_; }

private:
    template <class>
    friend class IntrusiveList;

    std::uint32_t number_ = 0;
};

/// Throws: RuntimeError if the loop of `gate` runs on another thread at the moment. Any thread.
[[gnu::cold]] void require_own_thread(const LoopGate& gate);

/// The tasks of a loop as text, with what each waits for. `core/residents.cpp` answers.
std::string describe_residents(lowlevel::Loop& loop);

}  // namespace internal

namespace lowlevel {

/// The part of an event loop that awaitables, operations and other threads need. Every `EventLoop`
/// is one; only `EventLoop` makes one.
class Loop {
public:
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Runs the loop until `stop()` is called. If `stop()` was called before, runs exactly one
    /// iteration and does not wait.
    /// Throws: RuntimeError if a loop runs on this thread already, or if this loop is closed;
    /// DeadlockError on the simulated back-end, when nothing is left that could ever run.
    void run_forever();

    /// Ends `run_forever` after the iteration in progress. Callbacks and tasks that are ready then
    /// stay ready for the next run. From another thread:
    /// `call_soon_threadsafe([&] { loop.stop(); })`.
    void stop() {
        check_thread();
        stopping_ = true;
    }

    /// Whether the loop runs at the moment. Loop thread only; `is_closed` may be called from any
    /// thread.
    bool is_running() const noexcept { return running_; }
    bool is_closed() const noexcept { return closed_.load(std::memory_order_relaxed); }

    /// The time on the loop's clock, which is monotonic, and virtual on the simulated back-end.
    /// Every call reads the clock. Python: `loop.time`, which is a number of seconds.
    TimePoint time() const noexcept { return backend_->now(); }

    /// How many iterations have run at least one node. Two events with the same number have
    /// happened in the same iteration. An iteration in which nothing was ready does not count,
    /// because the number of these depends on the back-end.
    std::uint64_t iterations() const noexcept { return iterations_; }

    /// The back-end's name: "io_uring", "epoll" or "simulated".
    const char* backend_name() const noexcept { return backend_->name(); }

    /// Switches debug mode on or off: checks of threads, warnings of slow steps, of coroutines that
    /// were never awaited, and of circles of waits. Python: `loop.set_debug`.
    void set_debug(bool enabled) noexcept { debug_ = enabled; }
    bool get_debug() const noexcept { return debug_; }
    /// In debug mode, a step or callback that keeps the loop busy for longer than this is logged.
    /// Python: `loop.slow_callback_duration`.
    Delay slow_callback_duration = std::chrono::milliseconds(100);

    /// Makes `node` ready: it runs in the next iteration, behind the nodes that are ready. The node
    /// must be in no list.
    void schedule(internal::Ready& node) noexcept { ready_.push_back(node); }
    /// Makes all `nodes` ready, in their order, and leaves the list empty. Cost: O(1).
    void schedule_all(internal::ReadyList& nodes) noexcept { ready_.append(nodes); }

    /// Arms `timer`: its target becomes ready at `when`. `TimePoint::max()` never comes. The timer
    /// must be disarmed. Throws: `std::bad_alloc`. Cost: O(log timers).
    void arm(internal::Timer& timer, TimePoint when);
    /// Disarms `timer`. No effect on a timer that is not armed. Cost: O(1), amortised.
    void disarm(internal::Timer& timer) noexcept;

    /// Hands an operation to the back-end. If the answer is `finished`, the result is in the
    /// operation, and `on_finished` is not called.
    /// Throws: RuntimeError if the operation is in flight already.
    Backend::Submitted submit(Operation& operation);
    /// Asks for the early end of an operation that is in flight. It is still reported; see rule 1
    /// in `lowlevel/backend.h`.
    void cancel(Operation& operation) noexcept { backend_->cancel(operation); }

    /// As `Backend::disown`.
    void disown(int fd) noexcept { backend_->disown(fd); }
    /// As `Backend::close_now`.
    void close_now(int fd) noexcept { backend_->close_now(fd); }

    /// Makes `node` ready from another thread or from a signal handler, and wakes the loop. Returns
    /// false if the loop is closed; the node has not been touched then.
    bool post(internal::Ready& node) noexcept;
    /// The gate through which other threads reach this loop. It outlives the loop.
    const std::shared_ptr<internal::LoopGate>& gate() const noexcept { return gate_; }

    /// Functions that only the loop's thread may call begin with this. In debug mode it throws
    /// RuntimeError if this loop runs on another thread at the moment. Without debug mode it costs
    /// a check of a flag.
    void check_thread() const {
        if (debug_) [[unlikely]]
            internal::require_own_thread(*gate_);
    }

    /// A number that tells this loop from all others, also from loops that were at its address
    /// before.
    std::uint32_t number() const noexcept { return live_.number(); }

    /// From now on the loop runs only to bring its tasks to an end. This is allowed inside another
    /// running loop, too.
    void begin_to_close() noexcept { closing_ = true; }

    /// As `Backend::expect_wakes`.
    void expect_wakes(int change) noexcept { backend_->expect_wakes(change); }

    /// As `Backend::names`.
    Names* names() noexcept { return backend_->names(); }

    /// The tasks that have not ended; `core` keeps them here.
    internal::IntrusiveList<internal::Resident>& residents() noexcept { return residents_; }
    /// The listeners that are called when the loop closes.
    internal::IntrusiveList<internal::AtClose>& at_close() noexcept { return at_close_; }

protected:
    Loop(std::unique_ptr<Backend> backend, bool debug);
    ~Loop();

    /// The end of the machine, after tasks and generators have ended: no operation is in flight, no
    /// post succeeds, and every node that is left has had its turn.
    void end();
    /// Runs every node that is left, which releases it without calling anything.
    void drop_ready() noexcept;
    /// Throws: RuntimeError if the loop cannot run on this thread now.
    void check_can_run() const;
    /// Throws: RuntimeError if the loop is closed. The message names `function`, the function that
    /// the program called.
    void check_open(const char* function) const {
        if (is_closed()) [[unlikely]]
            refuse_closed(function);
    }
    [[noreturn, gnu::cold]] static void refuse_closed(const char* function);

private:
    friend internal::LoopGate;
    /// Makes this loop the running loop of the thread, for the time of `run_forever`.
    struct RunScope;

    internal::LiveLoop live_;

    /// For the gate: pushes a node onto the inbox. Any thread.
    void take_in(internal::Ready& node) noexcept;
    /// The parts of an iteration, in the order in which `run_forever` calls them.
    void take_inbox() noexcept;
    bool look_is_due() noexcept;
    void wait_until_ready();
    void look();
    void wait(TimePoint deadline);
    void expire_timers() noexcept;
    void expire_until(TimePoint when) noexcept;
    void run_batch();
    void serve_finished(internal::ReadyList& batch);
    void run_step(internal::Ready& node);
    /// A part of `end`: waits until no operation is in flight.
    void collect_operations();

    /// The part that talks to the kernel. Nothing else in the loop waits.
    std::unique_ptr<Backend> backend_;
    std::shared_ptr<internal::LoopGate> gate_;
    /// The ready queue.
    internal::ReadyList ready_;
    /// The tasks whose operations were found finished while other tasks were ready. Filled within
    /// an iteration, and empty between iterations.
    internal::ReadyList finished_;
    std::unique_ptr<internal::TimerHeap> timers_;
    /// Nodes from other threads, the newest first, linked through `next`. The loop takes the whole
    /// list at once, so a push races only with other pushes.
    std::atomic<internal::ListNode*> inbox_{nullptr};
    internal::IntrusiveList<internal::Resident> residents_;
    internal::IntrusiveList<internal::AtClose> at_close_;
    /// Operations that the back-end has not reported yet. At zero an iteration need not look at the
    /// back-end.
    std::uint32_t in_flight_ = 0;
    /// After this many steps the loop looks at the back-end although tasks are still ready, so that
    /// a program that is always busy still notices its descriptors. It looks earlier if the steps
    /// take long. The back-end notices that; the loop itself reads no clock between two steps.
    static constexpr std::uint32_t steps_between_looks = 61;
    /// Steps since the last look at the back-end.
    std::uint32_t unobserved_steps_ = 0;
    /// Below this number of steps no look is due. While an operation is in flight it is 1, or twice
    /// the number of operations that the last look has brought; otherwise it is
    /// `steps_between_looks`.
    std::uint32_t steps_before_look_ = steps_between_looks;
    std::uint64_t iterations_ = 0;
    bool stopping_ = false;
    bool running_ = false;
    bool closing_ = false;
    bool debug_ = false;
    /// Atomic, since other threads read it.
    std::atomic<bool> closed_{false};
};

}  // namespace lowlevel
}  // namespace asyncio
