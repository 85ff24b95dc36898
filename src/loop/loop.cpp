// The loop: one iteration, the look at the back-end in between, and the end.
//
// An iteration has four steps, as the comments in `run_forever` number them: take the inbox, wait
// for the back-end if nothing is ready, make expired timers ready, run the batch. The batch is what
// is ready at that moment: `run_batch` moves the whole ready queue into a list of its own, and
// nodes that become ready meanwhile collect in `ready_` for the next iteration. This is CPython's
// `ntodo = len(self._ready)`, without a count. Every rule about ticks in this library follows from
// it.
//
// The order inside the ready queue is: the inbox, finished operations, expired timers, each in its
// own order. Nodes that the previous batch made ready stand in front of all of them.
//
// The look at the back-end. While tasks are ready, a system call in each iteration would cost more
// than the tasks do. So the back-end is looked at after 61 steps, or earlier when the back-end
// notices that time has passed (`look_is_due`), also in the middle of a batch. While no operation
// is in flight, the back-end is not even asked before the 61 steps are over. While nothing is
// ready, every iteration waits in the back-end, which is the only place where a program sleeps.
//
// After a look that has brought something no other comes before the tasks that it woke have run.
// What another one could bring would have to wait for them anyway. And a server would receive
// faster than its tasks send: with thousands of connections, each would hold a message that has
// left the processor's cache when its task runs.
//
// An operation that a look finds finished does not go behind the ready tasks, as it would in
// CPython: with ten tasks that compute 5 ms each, a descriptor would be served 50 ms late. It does
// not go before all of them either, or a few busy descriptors could starve the rest.
// `serve_finished` runs one of each in turn.
//
// The only code that runs inside a look is `on_finished` of an operation. By its contract it makes
// a task ready and does not resume it, so no code of the program runs below a look, and the loop
// can be in the middle of a batch there.
//
// The end. `close` ends everything that could still touch the loop, in this order:
// 1. Tasks, then generators: these run, and the loop runs for them.
// 2. Owners of operations that no task awaits (`at_close_`) cancel them, and the loop waits until
//    every operation has been reported: the kernel may write into their memory until then.
// 3. The gate for other threads shuts. A node that was posted before is in the inbox.
// 4. Timers and ready nodes get their turn once. A node finds the loop closed and only releases
//    what it holds.
// The loop destroys no node: each node knows what it owns, and the loop does not.
//
// Ownership. The loop owns its back-end, its timers' heap and its gate (shared with handles that
// outlive it). It does not own the nodes in its lists: tasks have a reference that they drop
// themselves, callbacks too, and all others lie in frames.

#include <asyncio/lowlevel/loop.h>

#include <asyncio/exceptions.h>
#include <asyncio/internal/loop/loop_gate.h>
#include <asyncio/internal/machine/prefetch.h>

#include "base/after_fork.h"
#include "base/log.h"
#include "base/thread_sanitizer.h"
#include "base/timer_heap.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>

namespace asyncio {
namespace internal {

class TimerHeap final : public BasicTimerHeap<Timer> {};

}  // namespace internal

namespace lowlevel {

/// The back-end is made first, and making it may throw. So there is no loop without a back-end.
Loop::Loop(std::unique_ptr<Backend> backend, bool debug)
    : backend_(std::move(backend)),
      gate_(std::make_shared<internal::LoopGate>(*this)),
      timers_(std::make_unique<internal::TimerHeap>()),
      debug_(debug) {
    // A loop that ran at the time of a fork runs in the parent only. In the child no loop runs.
    [[maybe_unused]] static const bool told =
        (internal::call_in_forked_children([] { internal::here = {}; }), true);
    if (debug_)
        internal::log(LogLevel::debug, std::string("event loop on the back-end ") + backend_name());
}

Loop::~Loop() = default;

/// Makes this loop the thread's running loop, as long as it lives. Everything is undone by the
/// destructor, because `run_forever` may also end by an exception (a deadlock, or an error of the
/// back-end).
struct Loop::RunScope {
    explicit RunScope(Loop& loop) : loop_(loop) {
        loop.check_can_run();
        loop.running_ = true;
        internal::here = {};
        internal::here.loop = &loop;
        loop.gate_->set_runner(&internal::here);
        internal::here.stack_limit =
            internal::stack_position() - internal::nested_start_stack_bytes;
    }
    RunScope(const RunScope&) = delete;
    RunScope& operator=(const RunScope&) = delete;
    ~RunScope() {
        // A loop may run on another thread next time; a ring belongs to one thread.
        loop_.backend_->hand_over();
        internal::here = outer_;
        loop_.gate_->set_runner(nullptr);
        loop_.running_ = false;
        loop_.stopping_ = false;
    }

private:
    Loop& loop_;
    /// The state of the thread from before. It has a loop only where a loop is closed while another
    /// one runs.
    internal::ThreadState outer_ = internal::here;
};

/// Each round is one iteration. `stop` takes effect at the end of a round, as in Python: the rest
/// of the batch still runs, and what it makes ready does not.
void Loop::run_forever() {
    const RunScope scope(*this);
    // `stop` before `run_forever` is the usual way to run a single iteration. Such a caller must
    // get a look at the back-end each time, or it would notice its operations only after 61 steps.
    if (stopping_) unobserved_steps_ = std::max(steps_before_look_, steps_between_looks);
    do {
        take_inbox();  // 1. posts of other threads and signal handlers
        if (ready_.empty()) {
            // 2. wait, but not past the next deadline; finished operations become ready
            wait_until_ready();
        } else if (look_is_due()) [[unlikely]] {
            look();
        }
        expire_timers();  // 3. timers that are due become ready, behind them
        // 4. what is ready at this moment runs; what becomes ready meanwhile does not
        if (!ready_.empty()) run_batch();
    } while (!stopping_);
}

/// The inbox is a stack that any thread pushes to, so it is taken whole, by one exchange, and
/// turned round: the oldest node comes first. The test before the exchange saves an atomic write in
/// the usual iteration, whose inbox is empty.
inline void Loop::take_inbox() noexcept {
    if (inbox_.load(std::memory_order_relaxed) == nullptr) [[likely]]
        return;
    internal::ListNode* newest = inbox_.exchange(nullptr, std::memory_order_acquire);
    internal::tell_acquire(inbox_);
    internal::ListNode* oldest = nullptr;
    while (newest != nullptr) {
        internal::ListNode* older = std::exchange(newest->next, oldest);
        oldest = std::exchange(newest, older);
    }
    while (oldest != nullptr) {
        internal::ListNode* newer = std::exchange(oldest->next, nullptr);
        ready_.push_back(static_cast<internal::Ready&>(*oldest));
        oldest = newer;
    }
}

/// Two comparisons in the usual case. While nothing is in flight `steps_before_look_` is as high as
/// the limit, so the back-end is not even asked. At the limit of 61 steps the answer is yes without
/// asking: a program that never rests must notice its descriptors even if its back-end keeps no
/// time.
inline bool Loop::look_is_due() noexcept {
    return unobserved_steps_ >= steps_before_look_ &&
           (unobserved_steps_ >= steps_between_looks || backend_->look_is_due());
}

/// A loop that was stopped does not sleep: it looks once and ends. The deadline is that of the
/// earliest timer. A timer that was armed by another thread's post is not missed: the post wakes
/// the back-end, and the next iteration asks again.
void Loop::wait_until_ready() {
    unobserved_steps_ = 0;
    wait(stopping_ ? internal::at_once : timers_->earliest());
}

/// Looks at the back-end while tasks are ready. Tasks whose operation has finished are kept apart
/// in `finished_`. They must not wait behind the other ready tasks, because each of these may
/// compute for a long time. `on_finished` puts its task into `ready_`. So the queue is moved to
/// `others` first and put back afterwards: in between, `ready_` holds only the tasks that this look
/// has brought. Moving a list costs the same for any length.
void Loop::look() {
    internal::ReadyList others;
    others.append(ready_);
    unobserved_steps_ = 0;
    wait(internal::at_once);
    finished_.append(ready_);
    ready_.append(others);
}

/// The list of finished operations is walked here and not in the back-end, so that `on_finished`
/// may submit the next operation at once. For each of them two steps follow before the next look,
/// because `serve_finished` runs another task after each. A deadlock is the simulated back-end's
/// answer when no event can ever happen again. The exception carries the await tree, because the
/// tasks are still there to be described.
void Loop::wait(TimePoint deadline) {
    OperationList finished;
    if (backend_->wait(deadline, finished) == Backend::Waited::deadlock) [[unlikely]] {
        throw DeadlockError(internal::describe_residents(*this));
    }
    std::uint32_t reported = 0;
    for (; !finished.empty(); ++reported) {
        Operation& operation = finished.pop_front();
        --in_flight_;
        operation.on_finished(operation);
    }
    steps_before_look_ =
        in_flight_ == 0 ? steps_between_looks : std::max(2 * reported, std::uint32_t{1});
}

/// The clock is read once for all timers of an iteration, and not at all while there are none. A
/// timer that comes due during the batch waits for the next iteration, as in CPython.
inline void Loop::expire_timers() noexcept {
    if (!timers_->empty()) expire_until(backend_->now());
}

/// Takes timers in groups of 16. A timer and its target lie in the frame that waits, and neither
/// the frame nor the task was used during the wait, so they are probably not in the cache. All
/// members of a group are fetched from memory at the same time, before the first of them is
/// scheduled. Timers with one deadline come off the heap in the order in which they were armed.
void Loop::expire_until(TimePoint when) noexcept {
    std::array<internal::Timer*, 16> due;
    while (const std::size_t count = timers_->take_due(when, internal::Timer::disarmed, due)) {
        for (std::size_t i = 0; i < count; ++i) {
            internal::prefetch_around(due[i]);
            internal::prefetch_around(due[i]->touched_next);
        }
        for (std::size_t i = 0; i < count; ++i) schedule(*due[i]->target);
    }
}

/// `node.run` is `noexcept`: an exception of the program never gets here, so a step cannot end the
/// loop.
inline void Loop::run_step(internal::Ready& node) {
    node.run(node);
    ++unobserved_steps_;
}

/// The batch is taken whole, so nodes that are made ready by its steps collect in `ready_`. A node
/// may also leave the batch before its turn (a cancelled wait, a time limit that was not reached).
/// The list is intrusive, so the node can be unlinked from whichever list it is in. Therefore the
/// loop checks after every step whether the batch is empty.
inline void Loop::run_batch() {
    internal::ReadyList batch;
    batch.take(ready_);
    ++iterations_;
    // A look of this iteration has found finished operations.
    if (!finished_.empty()) [[unlikely]] {
        serve_finished(batch);
        if (batch.empty()) return;
    }
    for (;;) {
        run_step(batch.pop_front());
        if (batch.empty()) return;  // the next iteration begins with the same question
        if (look_is_due()) [[unlikely]] {
            look();
            serve_finished(batch);
            if (batch.empty()) return;
        }
    }
}

/// Runs tasks whose operation has finished and other tasks alternately, so that neither kind
/// starves the other. When no other tasks are left in this iteration, the finished tasks that are
/// left come first in the next one. Two moves put them in front of `ready_`: behind them stand the
/// nodes that the batch has made ready, in their own order.
void Loop::serve_finished(internal::ReadyList& batch) {
    while (!finished_.empty() && !batch.empty()) {
        run_step(finished_.pop_front());
        if (batch.empty()) break;
        run_step(batch.pop_front());
        if (look_is_due()) look();
    }
    finished_.append(ready_);
    ready_.append(finished_);
}

/// Each line leaves the loop in a state in which the next one can do its work; the order cannot be
/// changed.
void Loop::end() {
    collect_operations();
    // From here on no thread can post a node. A node that was posted before is in the inbox, and
    // gets its turn with the rest.
    gate_->shut();
    // Set after the gate has shut and before the nodes below run: a callback among them must see
    // that the loop is closed, and then does not run.
    closed_ = true;
    expire_until(internal::never);
    drop_ready();
}

/// Every node gets its turn, so that it releases what it holds; a callback that finds the loop
/// closed does not run.
void Loop::drop_ready() noexcept {
    take_inbox();
    while (!ready_.empty()) {
        internal::Ready& node = ready_.pop_front();
        node.run(node);
    }
}

/// Every operation must be reported before the back-end is destroyed: until then the memory of the
/// operation belongs to the back-end. A report may add a listener: the channel of a stream ends
/// operations of its own in this way. A listener is taken off the list before it is called, because
/// it may destroy itself.
void Loop::collect_operations() {
    while (!at_close_.empty() || in_flight_ > 0) {
        if (at_close_.empty()) {
            wait(internal::never);
            continue;
        }
        internal::AtClose& listener = at_close_.pop_front();
        listener.run(listener);
    }
}

void Loop::refuse_closed(const char* function) {
    throw RuntimeError(std::string("the event loop is closed: ") + function +
                       " needs an open event loop");
}

/// A loop that is closing may run inside another one: a loop object can be destroyed in a task of
/// another loop, and its own tasks must still end.
void Loop::check_can_run() const {
    check_open("EventLoop::run_forever() or run_until_complete()");
    if (internal::here.loop == this)
        throw RuntimeError("this event loop is already running: run_forever() or "
                           "run_until_complete() was called inside it");
    if (internal::here.loop != nullptr && !closing_) {
        throw RuntimeError("run_forever() and run_until_complete() cannot run the event loop while "
                           "another event loop runs on this thread");
    }
}

/// Pushes a node onto the inbox. Called through the gate only, so the loop exists. Any thread, and
/// any signal handler: no lock, no allocation.
void Loop::take_in(internal::Ready& node) noexcept {
    internal::tell_release(inbox_);
    internal::ListNode* newest = inbox_.load(std::memory_order_relaxed);
    do {
        node.next = newest;
    } while (!inbox_.compare_exchange_weak(newest, &node, std::memory_order_release,
                                           std::memory_order_relaxed));
    // Only the thread that finds the inbox empty wakes the loop. Nodes that are pushed behind it
    // are in the inbox before the loop takes it, so the same wake-up serves them.
    if (newest == nullptr) backend_->wake();
}

void Loop::arm(internal::Timer& timer, TimePoint when) { timers_->push(timer, when); }

/// Disarming a timer is a store in a table, not a search in the heap (`timer_heap.h`). Most timers
/// are limits that are cancelled.
void Loop::disarm(internal::Timer& timer) noexcept {
    if (timer.armed()) timers_->remove(timer, internal::Timer::disarmed);
}

/// An operation that finished within the call was not in flight, and is not counted. From the first
/// one in flight on, each step asks whether a look is due.
Backend::Submitted Loop::submit(Operation& operation) {
    if (operation.state == Operation::State::in_flight) [[unlikely]]
        throw RuntimeError("the submitted operation is in flight already");
    const auto submitted = backend_->submit(operation);
    if (submitted == Backend::Submitted::in_flight) {
        if (in_flight_++ == 0) steps_before_look_ = 1;
    }
    return submitted;
}

bool Loop::post(internal::Ready& node) noexcept { return gate_->post(node); }

}  // namespace lowlevel
}  // namespace asyncio
