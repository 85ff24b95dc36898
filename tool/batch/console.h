#pragma once
// Standard output and standard error while the loop runs.
//
// Nothing here blocks the loop: who reads our output may be slow, or be a terminal that somebody
// has stopped with Ctrl-S, and time limits hold nevertheless. One task writes at a time, and what
// it writes stays together. The progress line is taken off the terminal before anything else is
// written there.

#include <asyncio.h>

#include "batch/blocks.h"
#include "batch/turn.h"

#include <optional>
#include <string>
#include <string_view>

namespace batch {

struct ConsoleOptions {
    /// Standard output is left to somebody else: what commands write all goes to standard error.
    bool output_to_errors = false;
};

class Console {
public:
    explicit Console(ConsoleOptions options = {});

    /// Writes all of `output` to standard output, then all of `errors` to standard error, and
    /// returns when the kernel has it: so whoever produces faster than is read must wait.
    /// Throws: OsError if standard output refuses; EPIPE when nobody reads it any more. A standard
    /// error that refuses is let be, as there is nobody to tell.
    /// Cancellation: what is on its way may be sent whole; the rest is dropped.
    asyncio::Coro<> write(Blocks output, Blocks errors);

    /// Returns when nobody reads standard output any more, which a pipe tells without being written
    /// to, and a socket as well. Never returns for anything else: files and terminals have no such
    /// end.
    asyncio::Coro<> wait_until_unread();

    /// Puts whole lines on standard error as soon as it is free. Does not wait: a remark that
    /// nobody takes within `patience_for_remarks` is dropped.
    void remark(std::string_view text);

    /// Returns when every remark has been taken or dropped. Cancellation: drops the rest.
    asyncio::Coro<> end_remarks();

    /// Ends a line that a command has left open where the errors go, so that what is written there
    /// next begins a line of its own.
    asyncio::Coro<> end_open_line();

    /// Puts `line` where the progress line is. An empty one takes it away.
    asyncio::Coro<> show_progress(std::string line);

private:
    /// One of the two streams.
    struct Channel {
        asyncio::StreamWriter writer;
        /// What is written there comes to where the errors go.
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
    Turn turn_;
    bool progress_is_shown_ = false;
    /// What was written last where the errors go does not end its line: a progress line would paint
    /// over it, and a remark would be glued to it.
    bool line_is_open_ = false;
    std::string remarks_;
    asyncio::Task<> remarks_are_sent_;
};

}  // namespace batch
