// How the texts of a batch reach the terminal without mixing, and without blocking the loop.
//
// Both streams are opened as *shared*: other programs use the same open file, so it must not become
// non-blocking. The library then waits for readiness before every call.

#include "terminal/console.h"

#include "terminal/say.h"
#include "terminal/terminal.h"

#include <utility>

#include <sys/stat.h>
#include <unistd.h>

namespace tool {
namespace {

using asyncio::Coro;

/// Moves to the first column and erases to the end of the line.
constexpr const char* erase_line = "\r\x1b[K";

asyncio::StreamWriter open_stream(int number, const char* name) {
    return asyncio::connect_write_pipe(asyncio::lowlevel::Fd(number),
                                       {.name = name, .shared = true});
}

/// Whether both descriptors lead to one terminal, one pipe or one file.
bool are_the_same(int one, int other) noexcept {
    struct stat first{};
    struct stat second{};
    return ::fstat(one, &first) == 0 && ::fstat(other, &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace

Console::Console(ConsoleOptions options)
    : options_(options),
      output_{open_stream(STDOUT_FILENO, "standard output"),
              are_the_same(STDOUT_FILENO, STDERR_FILENO)},
      errors_{open_stream(STDERR_FILENO, "standard error"), true} {}

Coro<> Console::write(Blocks output, Blocks errors) {
    if (output.empty() && errors.empty()) co_return;
    const auto held = co_await writing_.acquire();
    co_await erase_progress();
    if (options_.output_to_errors) {
        co_await send_errors(std::move(output));
    } else {
        co_await send(output_, std::move(output));
    }
    co_await send_errors(std::move(errors));
}

Coro<> Console::wait_until_unread() {
    struct stat status{};
    const bool tells = ::fstat(STDOUT_FILENO, &status) == 0 &&
                       (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
    // A poll without events still reports an error or a hang-up, and these are the only events of
    // interest here. The future below is never set: this wait ends only by a cancellation.
    if (tells) co_await asyncio::lowlevel::perform({.fd = STDOUT_FILENO});
    if (!tells) co_await asyncio::get_running_loop().create_future<>();
}

void Console::remark(std::string_view text) {
    remarks_ += text;
    if (!remarks_are_sent_ || remarks_are_sent_.done()) {
        remarks_are_sent_ = asyncio::create_task(send_remarks());
    }
}

/// The limit is one for each round of remarks, so a reader that takes nothing delays a batch by at
/// most that long per round.
Coro<> Console::send_remarks() {
    while (!remarks_.empty()) {
        auto sent = send_remark(std::exchange(remarks_, {}));
        try {
            co_await asyncio::wait_for(std::move(sent), patience_for_remarks);
        } catch (const asyncio::TimeoutError&) {
        }
    }
}

Coro<> Console::send_remark(std::string text) {
    const auto held = co_await writing_.acquire();
    co_await erase_progress();
    Blocks blocks;
    if (line_is_open_) blocks.append("\n");
    blocks.append(std::move(text));
    co_await send_errors(std::move(blocks));
}

Coro<> Console::end_remarks() {
    if (remarks_are_sent_) co_await asyncio::gather_settled(remarks_are_sent_);
}

Coro<> Console::end_open_line() {
    const auto held = co_await writing_.acquire();
    Blocks blocks;
    if (line_is_open_) blocks.append("\n");
    co_await send_errors(std::move(blocks));
}

Coro<> Console::show_progress(std::string line) {
    const auto held = co_await writing_.acquire();
    co_await erase_progress();
    if (line.empty()) co_return;
    Blocks blocks;
    if (std::exchange(line_is_open_, false)) blocks.append("\n");
    blocks.append(std::move(line));
    co_await send_errors(std::move(blocks));
    progress_is_shown_ = true;
    line_is_open_ = false;
}

/// `line_is_open_` is set before the write: if the write is cancelled, its bytes may still have
/// been sent.
Coro<> Console::send(Channel& channel, Blocks blocks) {
    while (!blocks.empty()) {
        std::string block = blocks.take_front();
        if (channel.is_where_errors_go) line_is_open_ = block.back() != '\n';
        co_await channel.writer.send(std::move(block));
    }
}

/// Ignores errors: a batch whose standard error is closed must still do its work.
Coro<> Console::send_errors(Blocks blocks) {
    try {
        co_await send(errors_, std::move(blocks));
    } catch (const asyncio::OsError&) {
    }
}

Coro<> Console::erase_progress() {
    if (!std::exchange(progress_is_shown_, false)) co_return;
    Blocks blocks;
    blocks.append(erase_line);
    co_await send_errors(std::move(blocks));
    line_is_open_ = false;
}

}  // namespace tool
