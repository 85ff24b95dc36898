// How commands get from the input into the backlog, and how reading ends.
//
// Reading ends in one of three ways: at the end of the input, at an error, or by `stop`. After an
// error the backlog is closed and not only ended: damaged input must not be trusted, so commands
// that were read before the error do not start either.

#include "batch/run/intake.h"

#include "batch/input/input.h"

#include <utility>

namespace tool::batch {
namespace {

using namespace asyncio;

/// How many commands a stopped batch counts at most. Lists of values can be combined to billions of
/// commands, and counting them would delay the end.
constexpr std::size_t most_counted = 1'000'000;

}  // namespace

Coro<> Intake::read() {
    reader_ = current_task();
    try {
        while (!is_stopped_) {
            std::optional<Command> command = co_await next();
            if (!command) break;
            if (was_done(*command)) continue;
            ++known_;
            backlog_.add(std::move(*command));
            events_.command_came();
            if (backlog_.is_full()) co_await backlog_.wait_for_room();
        }
    } catch (const CancelledError&) {
        // `stop` has cancelled this task.
    }
    reader_.reset();
    // Damaged input: commands that were read before the error do not start either.
    if (!error_.empty()) backlog_.close();
    backlog_.end();
}

/// The next command of the feed. An error is stored and ends the input.
Coro<std::optional<Command>> Intake::next() {
    try {
        std::optional<Command> command = co_await feed_.next();
        has_ended_ = !command;
        co_return command;
    } catch (const InputError& error) {
        error_ = error.what();
        co_return std::nullopt;
    }
}

bool Intake::was_done(const Command& command) {
    const std::string* logged = resume_.done(command.number);
    if (logged != nullptr) events_.command_was_done(command, *logged);
    return logged != nullptr;
}

/// The reader may have ended, or may not have begun. Only a reading task is cancelled.
void Intake::stop() {
    backlog_.close();
    if (std::exchange(is_stopped_, true)) return;
    if (reader_) reader_->cancel();
}

Coro<std::optional<Command>> Intake::next_rest() {
    if (std::optional<Command> command = backlog_.take_nowait()) co_return command;
    if (has_ended_ || !error_.empty() || !feed_.is_finite()) co_return std::nullopt;
    while (counted_++ < most_counted) {
        std::optional<Command> command = co_await next();
        if (!command || !was_done(*command)) co_return command;
    }
    co_return std::nullopt;
}

}  // namespace tool::batch
