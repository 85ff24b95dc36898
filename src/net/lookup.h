#pragma once
// A question about a name, from the moment in which it is asked until its answer is forgotten.
//
// The tasks that ask the same question wait in the line of one lookup. The lookup belongs to none
// of them. A task that is cancelled leaves the line at once, and the lookup goes on: the C library
// cannot be stopped, and the answer serves the next task that asks. So a program that tries again
// after a time limit joins the lookup in flight, and does not occupy one thread more each time.
// Only a lookup that no thread has begun is given up together with its last task.
//
// The answer comes from one of two sides:
//   the system   a job on a thread (`net/name_pool.h`), which comes back as every job does
//   a back-end   the answer is there at once, and an alarm holds it back for its delay
//
// References: the table of the loop has one, each task that waits has one, and so has the side that
// will bring the answer.
//
// Thread-safety: loop thread only. The job copies the question, and touches nothing else of it.

#include <asyncio/event_loop.h>
#include <asyncio/internal/base/frame_pool.h>
#include <asyncio/internal/base/intrusive_list.h>
#include <asyncio/internal/base/ref.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/lowlevel/line.h>
#include <asyncio/lowlevel/names.h>
#include <asyncio/outcome.h>

#include <compare>
#include <coroutine>
#include <cstdint>
#include <string>

namespace asyncio::internal {

class LoopNames;
class LookupJob;

/// What is asked. Equal questions have equal answers.
struct Question {
    std::string host;
    /// Empty if the port can be added to the answer: it does not change the lookup.
    std::string service;
    AddressHints hints;

    friend auto operator<=>(const Question&, const Question&) = default;
};

/// The place of a lookup in a list of its loop.
struct LookupLink : ListNode {
    void leave_list() noexcept {
        if (linked()) unlink();
    }
};

class Lookup final : public Pooled, public LookupLink, private lowlevel::Alarm<Lookup> {
public:
    using Answer = lowlevel::Names::Addresses;

    /// A lookup that has not begun. `owner` is told of the answer.
    static Ref<Lookup> make(LoopNames& owner, Question question);
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;

    /// Asks the back-end, or gives the question to a thread. The answer may be there when this
    /// returns. Throws: what the names of a back-end throw; RuntimeError if no thread can be
    /// started; `std::bad_alloc`.
    void begin();

    const Question& question() const noexcept { return question_; }
    bool is_done() const noexcept { return is_done_; }
    /// The answer, or the exception of the names. Valid when the lookup is done.
    const Outcome<Answer>& answer() const noexcept { return answer_; }
    lowlevel::Line& line() noexcept { return line_; }

    /// Until when the answer is kept. For the owner.
    TimePoint expires{};

    /// A task has left the line before the answer came.
    void waiter_left() noexcept;
    /// The owner is not told of the answer any more. An answer that a back-end holds back does not
    /// come at all.
    void disown() noexcept;
    /// The answer has come. Wakes the tasks and tells the owner.
    void finish(Outcome<Answer>&& answer) noexcept;

    void retain() noexcept { ++references_; }
    void release() noexcept {
        if (--references_ == 0) delete this;
    }

private:
    friend Alarm;
    friend LookupJob;

    Lookup(LoopNames& owner, Question question);
    /// A lookup that was forgotten is in no table, and may still be listed as in flight.
    ~Lookup() { leave_list(); }

    void ask_backend(lowlevel::Names& names);
    void ask_system();
    /// The delay of a back-end's answer has passed.
    void alarm_rings() noexcept;

    /// Null once the lookup has been disowned.
    LoopNames* owner_;
    const Question question_;
    /// The job on a thread; null if there is none, or if its result has come.
    LookupJob* job_ = nullptr;
    lowlevel::Line line_;
    Outcome<Answer> answer_;
    bool is_done_ = false;
    /// Begins with the reference of `make`.
    std::uint32_t references_ = 1;
};

/// The awaiter of `LookupWait`.
class LookupWaiter : public lowlevel::LineWaiter {
public:
    explicit LookupWaiter(Lookup& lookup) noexcept : lookup_(lookup) {}

    bool await_ready() const noexcept { return lookup_.is_done(); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        wait_in(lookup_.line(), coroutine);
    }
    void await_resume() {
        if (interrupted()) lookup_.waiter_left();
        resumed();
    }

private:
    Lookup& lookup_;
};

/// `co_await LookupWait(lookup)` waits until the answer is there. The caller holds a reference to
/// the lookup. An answer that is there already is not waited for, and the await is then no
/// cancellation point.
using LookupWait = lowlevel::Awaiting<LookupWaiter, Lookup&>;

}  // namespace asyncio::internal
