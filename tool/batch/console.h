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

namespace batch {

class Console {
public:
    Console();

    /// Writes all of `output` to standard output, then all of `errors` to standard error, and
    /// returns when the kernel has it: so whoever produces faster than is read must wait.
    /// Throws: OsError if standard output refuses; EPIPE when nobody reads it any more. A standard
    /// error that refuses is let be, as there is nobody to tell.
    /// Cancellation: what is on its way may be sent whole; the rest is dropped.
    asyncio::Coro<> write(Blocks output, Blocks errors);

    /// Returns when nobody reads standard output any more, which a pipe tells without being written
    /// to. Never returns for anything else: files and terminals have no such end.
    asyncio::Coro<> wait_until_unread();

    /// Puts `line` where the progress line is. An empty one takes it away.
    asyncio::Coro<> show_progress(std::string line);

private:
    /// One of the two streams, and whether what was written there last ended its line.
    struct Channel {
        asyncio::StreamWriter writer;
        bool is_terminal = false;
    };

    asyncio::Coro<> send(Channel& channel, Blocks blocks);
    asyncio::Coro<> send_errors(Blocks blocks);
    asyncio::Coro<> erase_progress();

    Channel output_;
    Channel errors_;
    Turn turn_;
    bool progress_is_shown_ = false;
    /// The cursor of the terminal stands behind a text without a newline, which a progress line
    /// would paint over.
    bool line_is_open_ = false;
};

}  // namespace batch
