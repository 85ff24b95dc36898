#pragma once
// The terminal in the hands of a command (`--tty`): only the process group in its foreground may
// read from it, and only that group gets Ctrl-C and Ctrl-Z from it.
//
// The group of the launcher has the terminal when the batch runs in the foreground of a shell. It
// is lent to the command and taken back when that has ended or stopped. A batch in the background
// has nothing to lend.

#include <asyncio.h>

#include <sys/types.h>

namespace batch {

class Foreground {
public:
    /// `owner` is the group from which the terminal is lent.
    /// Throws: asyncio::OsError if there is no terminal.
    explicit Foreground(pid_t owner);

    /// The terminal, for the command's standard input.
    int descriptor() const noexcept { return terminal_.get(); }

    /// Lends the terminal to `group`, if the owner has it.
    void lend(pid_t group) const noexcept;
    /// Gives it back to the owner, if `group` has it.
    void take_back(pid_t group) const noexcept;

    bool has_it(pid_t group) const noexcept;

private:
    asyncio::lowlevel::Fd terminal_;
    pid_t owner_;
};

}  // namespace batch
