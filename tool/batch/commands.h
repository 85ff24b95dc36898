#pragma once
// Where the commands come from: the arguments, a file, or standard input; one per line.
//
// Empty lines are left out, and so are those that are nothing but a comment of the shell (`# …`):
// there is nothing to run, and nothing to put in a table. A command of several lines, as an
// argument can be, is left out if all of its lines are so. A carriage return at the end of a line,
// and a byte order mark before the first, are what an editor on another system left there, and no
// part of the command.

#include <asyncio.h>

#include <istream>
#include <string>
#include <vector>

namespace batch {

/// No commands could be had. The text says why.
class InputError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The commands in `lines`; `name` is what an error calls the source.
/// Throws: InputError for a line with a NUL byte, which no command can hold.
std::vector<std::string> read_commands(std::istream& lines, const std::string& name);

/// The commands of a batch: the arguments, then those of `files`, where "-" is standard input.
/// Without either, standard input, if somebody sends something there.
/// Throws: InputError if a source cannot be read, or if there are no commands.
std::vector<std::string> collect_commands(std::vector<std::string> arguments,
                                          std::vector<std::string> files);

}  // namespace batch
