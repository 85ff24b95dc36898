#include "batch/intake.h"

#include "batch/input.h"

#include <utility>

namespace batch {
namespace {

using namespace asyncio;

/// Of a stopped batch: counting has an end, even where lists are combined to billions.
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
        // By `stop`.
    }
    reader_.reset();
    // Input that is damaged is not to be trusted with what it said before.
    if (!error_.empty()) backlog_.close();
    backlog_.end();
}

/// The next of the feed; an error is its end.
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

}  // namespace batch
