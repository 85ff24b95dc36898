// The waits after the system has refused to start a command.
//
// If other commands run, the refused command waits until one of them has ended: an end frees
// descriptors and a process. If none runs, other programs use up the system, and no event tells
// when they stop. So the command is tried again, a hundred times in one second, and then fails.

#include "batch/run/room.h"

#include "guard/descriptors.h"

#include <cerrno>
#include <chrono>

#include <fmt/format.h>

namespace tool::batch {
namespace {

using namespace std::chrono_literals;
using namespace asyncio;

/// How often the start of a command is refused, while no other command runs, until it fails.
constexpr std::size_t most_refusals = 100;
constexpr Duration between_refusals = 10ms;

/// Too many descriptors (of the process, of the system), too many processes, too little memory.
/// Every other error is a fault of the command and would come again.
bool is_shortage(const OsError& refusal) noexcept {
    const int error = refusal.error();
    return error == EMFILE || error == ENFILE || error == EAGAIN || error == ENOMEM;
}

}  // namespace

bool Room::has_one_more(std::size_t workplaces) {
    if (workplaces < descriptors_for_) return true;
    const std::size_t wanted = workplaces + 1;
    descriptors_for_ = make_room_for(wanted);
    if (descriptors_for_ >= wanted) return true;
    if (!std::exchange(limit_was_noted_, true)) {
        remark_(fmt::format("only {} commands run at once; a higher `ulimit -n` allows more",
                            workplaces));
    }
    return false;
}

Coro<bool> Room::was_made(const OsError& refusal, std::size_t refusals) {
    if (!is_shortage(refusal)) co_return false;
    if (running_ > 0) {
        note_shortage(refusal.code().message());
        const auto held = co_await command_ended_.acquire();
        co_await command_ended_.wait();
        co_return true;
    }
    if (refusals >= most_refusals) co_return false;
    co_await sleep(between_refusals);
    co_return true;
}

Coro<> Room::wait_until_idle() {
    while (running_ > 0) co_await nothing_runs_.wait();
}

Coro<> Room::wake_one() {
    const auto held = co_await command_ended_.acquire();
    command_ended_.notify();
}

void Room::note_shortage(const std::string& reason) {
    if (std::exchange(shortage_was_noted_, true)) return;
    remark_(fmt::format("only {} commands run at once: {}", running_, reason));
}

}  // namespace tool::batch
