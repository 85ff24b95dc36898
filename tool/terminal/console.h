#pragma once
// Standard output and standard error while the loop runs.
//
// No function here blocks the loop. The reader of the output may be slow, or the user may have
// stopped the terminal with Ctrl-S; the time limits of the commands must hold anyway. Only one task
// writes at a time, so its output stays in one piece. The progress line is erased from the terminal
// before any other text is written there.
//
// Three kinds of text share standard error: the errors of commands, remarks of the batch, and the
// progress line. The state that keeps them apart is `progress_is_shown_` and `line_is_open_`. It
// holds for the terminal, so output to a terminal counts as well, even when it comes through the
// other stream (`Channel::is_where_errors_go`).

#include <asyncio.h>

#include "terminal/blocks.h"

#include <optional>
#include <string>
#include <string_view>

namespace tool {

struct ConsoleOptions {
    /// Standard output is reserved for the report (`--json -`): commands write only to standard
    /// error.
    bool output_to_errors = false;
};

class Console {
public:
    explicit Console(ConsoleOptions options = {});

    /// Writes all of `output` to standard output, then all of `errors` to standard error. Returns
    /// when the kernel has taken all bytes, so a command that writes faster than its reader reads
    /// must wait.
    /// Throws: OsError if a write to standard output fails; EPIPE when its reader has closed it.
    /// Errors when writing to standard error are ignored: there is no place left to report them.
    /// Cancellation: a block that is being written may be sent whole; the rest is dropped.
    asyncio::Coro<> write(Blocks output, Blocks errors);

    /// Returns when the reader of standard output has closed it. The kernel reports this for a pipe
    /// and for a socket, without a write. For files and terminals this function never returns,
    /// because they have no such event.
    asyncio::Coro<> wait_until_unread();

    /// Writes whole lines to standard error as soon as it is free. The caller does not wait. A
    /// remark that the reader does not take within `patience_for_remarks` is dropped.
    void remark(std::string_view text);

    /// Returns when every remark has been taken or dropped. Cancellation: drops the rest.
    asyncio::Coro<> end_remarks();

    /// Ends a line that a command has left open on standard error, so that the next text there
    /// begins on a line of its own.
    asyncio::Coro<> end_open_line();

    /// Replaces the progress line by `line`. An empty `line` erases it.
    asyncio::Coro<> show_progress(std::string line);

private:
    /// Standard output or standard error.
    struct Channel {
        asyncio::StreamWriter writer;
        /// The stream leads to the same terminal, pipe or file as standard error.
        bool is_where_errors_go = false;
    };

    asyncio::Coro<> send(Channel& channel, Blocks blocks);
    asyncio::Coro<> send_errors(Blocks blocks);
    asyncio::Coro<> erase_progress();
    asyncio::Coro<> send_remark(std::string text);
    asyncio::Coro<> send_remarks();

    ConsoleOptions options_;
    Channel output_;
    Channel errors_;
    /// A task holds it while it writes. The lock serves the tasks in the order of their arrival,
    /// and callers of `write` rely on this order.
    asyncio::Lock writing_;
    bool progress_is_shown_ = false;
    /// The last text where the errors go does not end with a newline. A progress line would
    /// overwrite it, and a remark would continue its line.
    bool line_is_open_ = false;
    /// Remarks that were not sent yet. They are collected, so one write serves many remarks when
    /// the reader is slow.
    std::string remarks_;
    /// The task that sends the remarks; done or empty when there are none.
    asyncio::Task<> remarks_are_sent_;
};

}  // namespace tool
