// Generators and the loop: who runs one, who has to close it, and the end of all of them.

#include <asyncio/generator.h>

#include <asyncio/internal/cancel_mask.h>
#include <asyncio/internal/completions.h>
#include <asyncio/task.h>

#include "base/log.h"

#include <exception>
#include <new>
#include <string>
#include <vector>

namespace asyncio {
namespace internal {

// Running.

void GeneratorCore::run_for(std::coroutine_handle<> asker, PromiseBase* asker_promise,
                            std::exception_ptr thrown_in) {
    constexpr auto function = "AsyncGenerator::next(), athrow() or aclose()";
    EventLoop& asking = running_task(function).loop();
    if (state_ == State::running) throw RuntimeError("the asynchronous generator runs already");
    if (state_ == State::created) begin(asking);
    if (loop_ != &asking)
        throw RuntimeError(std::string(function) +
                           " is to be awaited in the event loop in which the generator began");
    thrown_in_ = std::move(thrown_in);
    state_ = State::running;
    continuation = asker;
    caller = asker_promise;
    here.next = frame_;
}

/// From now on the loop knows of it.
void GeneratorCore::begin(EventLoop& loop) {
    loop_ = &loop;
    if (loop_->asyncgens().shut_down)
        log(LogLevel::warning, "an asynchronous generator began after shutdown_asyncgens()");
    loop_->asyncgens().live.push_back(*this);
}

void GeneratorCore::pause() noexcept {
    state_ = State::yielded;
    caller = nullptr;
    here.next = std::exchange(continuation, nullptr);
}

void GeneratorCore::finish() noexcept {
    state_ = State::finished;
    caller = nullptr;
    unlink();
}

void GeneratorCore::unhandled_exception() noexcept {
    try {
        throw;
    } catch (const GeneratorExit&) {
        // The answer to `aclose`.
    } catch (...) {
        error_ = caught_exception();
    }
}

bool GeneratorCloser::await_ready() noexcept {
    if (generator_.state() == GeneratorCore::State::created) generator_.finish_unstarted();
    return generator_.state() == GeneratorCore::State::finished;
}

void GeneratorCloser::await_resume() {
    const AskerScope scope(generator_);
    if (std::exception_ptr error = generator_.take_error()) rethrow(error);
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
        // Somebody waits for its next value, and will come by here afterwards.
        case State::running: generator.disowned_ = true; break;
        case State::yielded: generator.adopt(); break;
    }
}

/// Closes one generator that the loop has in one of its lists, if there is one left. It is taken
/// from there when the coroutine begins and not before, so nothing is lost with one that never
/// does.
struct ClosingGenerator {
    static Coro<> run(EventLoop& loop, IntrusiveList<Resident>& list, bool owned);

    /// Those that have yielded when they were to end. They wait for nothing, so they can be
    /// destroyed as they are, by their owners or here.
    static void give_up(AsyncGenerators& generators) noexcept;
};

void GeneratorCore::adopt() noexcept {
    disowned_ = true;
    if (loop_->get_debug()) {
        log(LogLevel::warning, "an asynchronous generator was dropped unclosed", [this] {
            return std::string("an asynchronous generator was dropped unclosed, after its "
                               "co_yield at ") +
                   where.file_name() + ":" + std::to_string(where.line()) +
                   "; the loop closes it now";
        });
    }
    unlink();
    loop_->asyncgens().orphans.push_back(*this);
    try {
        loop_->create_task(ClosingGenerator::run(*loop_, loop_->asyncgens().orphans, true));
    } catch (const std::bad_alloc&) {
        // It stays in the list, and is closed at the end of the run.
    }
}

Coro<> ClosingGenerator::run(EventLoop& loop, IntrusiveList<Resident>& list, bool owned) {
    if (list.empty()) co_return;
    auto& generator = static_cast<GeneratorCore&>(list.pop_front());
    loop.asyncgens().live.push_back(generator);
    // A cleanup that began is not cut short, also when the run ends and all tasks are cancelled.
    const CancelMask mask(*here.task);
    // Until it is closed nobody else destroys it; the awaiter would, at its end.
    if (owned) generator.disowned_ = false;
    const Outcome<void> closed = co_await settle(GeneratorClose(generator));
    // A cleanup that waits for ever is cancelled at last (`lift_masks`), and may end of that. Any
    // other CancelledError is its own.
    const bool was_cancelled = closed.cancelled() && here.task->cancelling() > 0;
    if (closed.failed() && !was_cancelled) {
        loop.call_exception_handler(
            {.message = "an error while an asynchronous generator was closed",
             .exception = closed.error()});
    }
    if (!owned) co_return;
    // One that has yielded once more is not asked again. It waits for nothing, so it can go.
    generator.state_ = GeneratorCore::State::finished;
    generator.frame_.destroy();
}

void ClosingGenerator::give_up(AsyncGenerators& generators) noexcept {
    generators.live.for_each([](Resident& resident) {
        auto& generator = static_cast<GeneratorCore&>(resident);
        if (generator.state_ == GeneratorCore::State::running) {
            // Its cleanup waits for ever, as the log says. What waits is not destroyed.
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

/// Closes all that there are now, together.
Coro<> close_all(EventLoop& loop) {
    constexpr auto function = "EventLoop::shutdown_asyncgens()";
    if (&running_task(function).loop() != &loop)
        throw RuntimeError(std::string(function) + " is to be awaited in a task of that loop");
    AsyncGenerators& generators = loop.asyncgens();
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
    // Generators whose closing was cancelled before it began, or could not begin, go back.
    generators.live.append(live);
    if (without_memory != nullptr) std::rethrow_exception(without_memory);
}

/// False if there was no memory for it.
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

/// Nothing is left for the loop to do about them afterwards.
void wind_up_asyncgens(EventLoop& loop) {
    AsyncGenerators& generators = loop.asyncgens();
    if (generators.live.empty() && generators.orphans.empty()) return;
    // The first attempt has given back what it had; if that is not enough, those that are left end
    // without their cleanups.
    bool all_are_closed = shut_down_asyncgens(loop);
    if (!all_are_closed) all_are_closed = shut_down_asyncgens(loop);
    if (!all_are_closed) log(LogLevel::error, "closing asynchronous generators: no memory");
    if (!loop.residents().empty()) wind_up_residents(loop);
    ClosingGenerator::give_up(generators);
}

}  // namespace internal

Coro<void> EventLoop::shutdown_asyncgens() {
    asyncgens_.shut_down = true;
    return internal::close_all(*this);
}

}  // namespace asyncio
