// Generators and the loop: how control passes between asker and generator, which side owns an
// unfinished generator, and how all of them end with the run.
//
// Running. A generator runs in the task of the code that asks for its next value, as if it were a
// part of that coroutine. `run_for` notes the asker as the continuation and leaves the generator's
// handle in `here.next`; the trampoline continues with it. `co_yield` does the same the other way
// round (`pause`). So a value costs two resumptions and no iteration of the loop, as in Python,
// where an asynchronous generator that does not wait returns its value within the step. While a
// generator waits for something, its task is parked there, and a cancellation of the task reaches
// that wait.
//
// States: `created` until the first value is asked for, then `running` and `yielded` in turn, and
// finally `finished`. Only a `running` generator has a task, and only a `yielded` one can be closed
// by throwing into it.
//
// Ownership. The `AsyncGenerator` handle owns the frame. The state decides how the destruction of
// the handle ends the generator (`disown`):
// - `created`, `finished`: the frame holds nothing that needs an await, and is destroyed at once.
// - `running`: an asker is inside. The generator is only marked, and the asker destroys it when it
//   has control again (`AskerScope`).
// - `yielded`: the frame may hold objects that need an await to be cleaned up. The loop takes it
//   over as an orphan, and a task closes it.
// Destroying a `yielded` frame would run its destructors but none of its `catch` blocks. Python's
// garbage collector is in the same position, and hands such a generator to a hook of the loop
// (`sys.set_asyncgen_hooks`).
//
// The lists. `live` has every generator that has begun and not finished; `orphans` has those whose
// handle is gone and whose closing has not begun. A generator is in one of them, or in the list of
// `close_all`, as long as it needs to be closed. The task that closes it takes it off the list when
// its coroutine begins, and not before: a task that is cancelled before its first step leaves it
// where it was.
//
// The end of a run closes all orphans and all live generators together, each in a task of its own,
// after the program's tasks have ended and while the loop still runs: Python's
// `shutdown_asyncgens`. A generator that yields again instead of ending is not asked a second time.
// At its `co_yield` it waits for nothing, so its frame can be destroyed.

#include <asyncio/generator.h>

#include <asyncio/internal/core/cancel_mask.h>
#include <asyncio/internal/core/join.h>
#include <asyncio/task.h>

#include "base/log.h"

#include <exception>
#include <new>
#include <string>
#include <vector>

namespace asyncio {
namespace internal {

// Running.

/// Refusals come before any member changes: an exception here leaves the asker's `co_await`, and
/// the generator stays as it was.
void GeneratorCore::run_for(std::coroutine_handle<> asker, PromiseBase* asker_promise,
                            std::exception_ptr thrown_in) {
    constexpr auto function = "AsyncGenerator::next(), athrow() or aclose()";
    EventLoop& asking = face_of(running_task(function).loop());
    if (state_ == State::running)
        throw RuntimeError("the asynchronous generator is already running");
    if (state_ == State::created) begin(asking);
    if (loop_ != &asking)
        throw RuntimeError(std::string(function) +
                           " must be awaited in the event loop in which the generator began");
    thrown_in_ = std::move(thrown_in);
    state_ = State::running;
    continuation = asker;
    caller = asker_promise;
    here.next = frame_;
}

/// The first step: from here on the loop has the generator in its list and will close it if nothing
/// else does. A generator belongs to the loop in which it began, because what it waits for belongs
/// to that loop. Nothing will close a generator that begins after the shutdown, so there is a
/// warning, as in Python.
void GeneratorCore::begin(EventLoop& loop) {
    loop_ = &loop;
    if (loop_->belongings().asyncgens.shut_down)
        log(LogLevel::warning, "an asynchronous generator was started after shutdown_asyncgens()");
    loop_->belongings().asyncgens.live.push_back(*this);
}

/// At a `co_yield`. `caller` is cleared, because the frame has no place in any await tree until the
/// next request.
void GeneratorCore::pause() noexcept {
    state_ = State::yielded;
    caller = nullptr;
    here.next = std::exchange(continuation, nullptr);
}

/// The frame has come to its final suspension. The asker's handle is left in `here.next` by
/// `FinalAwaiter`, as for every coroutine.
void GeneratorCore::finish() noexcept {
    state_ = State::finished;
    caller = nullptr;
    unlink();
}

/// An error is stored and not thrown here: the asker takes it in its own `await_resume`, when the
/// trampoline has returned to it. A `GeneratorExit` that leaves the generator is the answer to
/// `aclose`, and so no error.
void GeneratorCore::unhandled_exception() noexcept {
    try {
        throw;
    } catch (const GeneratorExit&) {
    } catch (...) {
        error_ = caught_exception();
    }
}

/// A generator that has not begun has nothing to clean up. It is finished without a step, as in
/// Python.
bool GeneratorCloser::await_ready() noexcept {
    if (generator_.state() == GeneratorCore::State::created) generator_.finish_unstarted();
    return generator_.state() == GeneratorCore::State::finished;
}

void GeneratorCloser::await_resume() {
    const AskerScope scope(generator_);
    if (std::exception_ptr error = generator_.take_error()) rethrow(error);
    // A generator must not answer a request to end with a further value: Python's "async generator
    // ignored GeneratorExit".
    if (generator_.state() == GeneratorCore::State::yielded)
        throw RuntimeError("the asynchronous generator has yielded while it was being closed");
}

std::exception_ptr GeneratorCloser::exit_request() {
    return std::make_exception_ptr(GeneratorExit());
}

// Ownership.

void GeneratorCore::disown(GeneratorCore& generator) noexcept {
    switch (generator.state_) {
        case State::created:
        case State::finished: destroy_nested(generator.frame_, generator); break;
        // A task waits for the next value. Its `AskerScope` comes back here when the generator has
        // paused or finished.
        case State::running: generator.disowned_ = true; break;
        case State::yielded: generator.adopt(); break;
    }
}

/// Closes one generator of one of the loop's lists, if the list has any left. The generator is
/// taken from the list when the coroutine begins, so nothing is lost with a task that never begins.
///
/// `owned`: the generator is an orphan, and this coroutine destroys it. Otherwise a handle of the
/// program still owns it.
struct ClosingGenerator {
    static Coro<> run(EventLoop& loop, IntrusiveList<Resident>& list, bool owned);

    /// Takes the generators that are left out of the lists, at the very end. A generator that has
    /// yielded again instead of ending waits for nothing, so it can be destroyed as it is, by its
    /// owner or here.
    static void give_up(AsyncGenerators& generators) noexcept;
};

/// The handle of a generator at its `co_yield` is gone. Debug mode reports it: until the closing
/// task runs, the generator keeps what it holds (a file, a lock), which is seldom what the program
/// wants.
void GeneratorCore::adopt() noexcept {
    disowned_ = true;
    if (loop_->get_debug()) {
        log(LogLevel::warning, "an asynchronous generator was dropped without aclose()", [this] {
            return std::string("an asynchronous generator was dropped without aclose(), after its "
                               "co_yield at ") +
                   where.file_name() + ":" + std::to_string(where.line()) +
                   "; the loop closes it now";
        });
    }
    unlink();
    loop_->belongings().asyncgens.orphans.push_back(*this);
    try {
        loop_->create_task(
            ClosingGenerator::run(*loop_, loop_->belongings().asyncgens.orphans, true));
    } catch (const std::bad_alloc&) {
        // Without memory for the task the generator stays in the list, and is closed at the end of
        // the run.
    }
}

/// The order of the first statements matters. The generator goes to `live` before anything is
/// awaited, so the end of the run can still find it while its cleanup waits.
Coro<> ClosingGenerator::run(EventLoop& loop, IntrusiveList<Resident>& list, bool owned) {
    if (list.empty()) co_return;
    auto& generator = static_cast<GeneratorCore&>(list.pop_front());
    loop.belongings().asyncgens.live.push_back(generator);
    // A cleanup that has begun is not cut short, not even when the run ends and all tasks are
    // cancelled.
    const CancelMask mask(*here.task);
    // The awaiter below is an asker, and its `AskerScope` would destroy an orphan as soon as it has
    // control again. This coroutine still needs the generator then.
    if (owned) generator.disowned_ = false;
    const Outcome<void> closed = co_await settle(GeneratorClose(generator));
    // The end of a run cancels a cleanup that waits for ever (`lift_masks`), and this may end the
    // cleanup. Then this task has a counted request, and the CancelledError is no error of the
    // generator. Any other CancelledError comes from the generator itself.
    const bool was_cancelled = closed.cancelled() && here.task->cancelling() > 0;
    if (closed.failed() && !was_cancelled) {
        loop.call_exception_handler(
            {.message = "an error while an asynchronous generator was closed",
             .exception = closed.error()});
    }
    if (!owned) co_return;
    // A generator that has yielded once more is not asked again. It waits for nothing, so its frame
    // can be destroyed.
    generator.state_ = GeneratorCore::State::finished;
    generator.frame_.destroy();
}

void ClosingGenerator::give_up(AsyncGenerators& generators) noexcept {
    generators.live.for_each([](Resident& resident) {
        auto& generator = static_cast<GeneratorCore&>(resident);
        if (generator.state_ == GeneratorCore::State::running) {
            // The cleanup waits for ever, as the log has said. A frame that waits is not destroyed.
            generator.unlink();
        } else {
            generator.finish();
        }
    });
    generators.orphans.for_each([](Resident& resident) {
        auto& generator = static_cast<GeneratorCore&>(resident);
        generator.finish();
        generator.frame_.destroy();
    });
}

// The end.

namespace {

/// Closes all generators that there are at this moment, together: cleanups that wait do so side by
/// side. A generator that begins meanwhile, in one of the cleanups, stays in `live` for a later
/// call.
///
/// `live` is moved to a list of this coroutine first, because a closing generator goes back to
/// `live` and must not be closed twice. Each task is waited for by a `Join`, which passes no
/// cancellation on: a second request to end must not cut the cleanups short.
Coro<> close_all(EventLoop& loop) {
    constexpr auto function = "EventLoop::shutdown_asyncgens()";
    if (&running_task(function).loop() != &loop)
        throw RuntimeError(std::string(function) + " must be awaited in a task of that loop");
    AsyncGenerators& generators = loop.belongings().asyncgens;
    IntrusiveList<Resident> live;
    live.append(generators.live);
    std::vector<Task<>> tasks;
    std::exception_ptr without_memory;
    try {
        tasks.reserve(generators.orphans.count() + live.count());
        for (std::size_t left = generators.orphans.count(); left > 0; --left)
            tasks.push_back(create_task(ClosingGenerator::run(loop, generators.orphans, true)));
        for (std::size_t left = live.count(); left > 0; --left)
            tasks.push_back(create_task(ClosingGenerator::run(loop, live, false)));
    } catch (const std::bad_alloc&) {
        without_memory = std::current_exception();
    }
    for (const Task<>& task : tasks) co_await Join(*task.state());
    // Generators whose closing was cancelled before it began, or could not begin without memory, go
    // back.
    generators.live.append(live);
    if (without_memory != nullptr) std::rethrow_exception(without_memory);
}

/// False if there was no memory for it. A deadlock counts as success: generators that wait for ever
/// are named in the log, and a second attempt would wait as well.
/// The loop is run for this, since the cleanups may wait.
bool shut_down_asyncgens(EventLoop& loop) {
    try {
        loop.run_until_complete(loop.shutdown_asyncgens());
    } catch (const DeadlockError& deadlock) {
        log(LogLevel::error, "closing asynchronous generators: deadlock",
            [&] { return std::string("closing asynchronous generators: ") + deadlock.what(); });
    } catch (const std::bad_alloc&) {
        return false;
    }
    return true;
}

}  // namespace

/// The generators' part in the end of a run. Afterwards the loop has no generator left.
void wind_up_asyncgens(EventLoop& loop) {
    AsyncGenerators& generators = loop.belongings().asyncgens;
    if (generators.live.empty() && generators.orphans.empty()) return;
    // The first attempt has freed its memory, so the second one may succeed. Generators that are
    // left after it end without their cleanups.
    bool all_are_closed = shut_down_asyncgens(loop);
    if (!all_are_closed) all_are_closed = shut_down_asyncgens(loop);
    if (!all_are_closed) log(LogLevel::error, "closing asynchronous generators: no memory");
    if (!loop.residents().empty()) wind_up_residents(loop);
    ClosingGenerator::give_up(generators);
}

}  // namespace internal

Coro<void> EventLoop::shutdown_asyncgens() {
    belongings().asyncgens.shut_down = true;
    return internal::close_all(*this);
}

}  // namespace asyncio
