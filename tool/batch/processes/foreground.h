#pragma once
// Lends the terminal to a command (`--tty`). Only the process group in the terminal's foreground
// may read from it, and only this group gets Ctrl-C and Ctrl-Z from it.
//
// When the batch runs in the foreground of a shell, the group of the launcher has the terminal. It
// is lent to the command and taken back when the command has ended or stopped. A batch in the
// background does not have the terminal and lends nothing.

#include <asyncio.h>

#include <sys/types.h>

namespace tool::batch {

class Foreground {
public:
    /// `owner` is the process group that has the terminal while no command has it.
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

}  // namespace tool::batch
