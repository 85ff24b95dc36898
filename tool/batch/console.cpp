#include "batch/console.h"

#include "batch/terminal.h"

#include <utility>

#include <sys/stat.h>
#include <unistd.h>

namespace batch {
namespace {

using asyncio::Coro;

/// To the first column, and erase to the end of the line.
constexpr const char* erase_line = "\r\x1b[K";

asyncio::StreamWriter open_stream(int number, const char* name) {
    return asyncio::connect_write_pipe(asyncio::lowlevel::Fd(number),
                                       {.name = name, .shared = true});
}

}  // namespace

Console::Console()
    : output_{open_stream(STDOUT_FILENO, "standard output"), is_terminal(Stream::output)},
      errors_{open_stream(STDERR_FILENO, "standard error"), is_terminal(Stream::errors)} {}

Coro<> Console::write(Blocks output, Blocks errors) {
    if (output.empty() && errors.empty()) co_return;
    const Turn::Held turn = co_await turn_.take();
    co_await erase_progress();
    co_await send(output_, std::move(output));
    co_await send_errors(std::move(errors));
}

Coro<> Console::wait_until_unread() {
    struct stat status{};
    const bool is_pipe = ::fstat(STDOUT_FILENO, &status) == 0 && S_ISFIFO(status.st_mode);
    // Asked for nothing, the kernel still tells of an error, and that is the one a pipe can have.
    if (is_pipe) co_await asyncio::lowlevel::perform({.fd = STDOUT_FILENO});
    if (!is_pipe) co_await asyncio::get_running_loop().create_future<>();
}

Coro<> Console::show_progress(std::string line) {
    const Turn::Held turn = co_await turn_.take();
    co_await erase_progress();
    if (line.empty()) co_return;
    Blocks blocks;
    if (std::exchange(line_is_open_, false)) blocks.append("\n");
    blocks.append(std::move(line));
    co_await send_errors(std::move(blocks));
    progress_is_shown_ = true;
    line_is_open_ = false;
}

Coro<> Console::send(Channel& channel, Blocks blocks) {
    while (!blocks.empty()) {
        std::string block = blocks.take_front();
        if (channel.is_terminal) line_is_open_ = block.back() != '\n';
        co_await channel.writer.send(std::move(block));
    }
}

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

}  // namespace batch
