#include "batch/commands.h"

#include "batch/terminal.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include <fmt/format.h>

namespace batch {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// A line that is empty, or a comment.
bool is_void(std::string_view line) {
    const std::size_t first = line.find_first_not_of(" \t\r\v\f");
    return first == std::string_view::npos || line[first] == '#';
}

/// An argument may have several lines; a comment on the first does not make all of it one.
bool is_command(std::string_view text) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (!is_void(text.substr(0, end))) return true;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return false;
}

std::string without_carriage_return(std::string line) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return line;
}

std::string reason() { return std::strerror(errno != 0 ? errno : EIO); }

std::vector<std::string> read_file(const std::string& path) {
    // A directory can be opened, and then fails at the first read.
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (file) file.peek();
    if (file.bad() || !file.is_open()) {
        throw InputError(fmt::format("cannot read {}: {}", path, reason()));
    }
    file.clear();
    return read_commands(file, path);
}

std::vector<std::string> read_standard_input() { return read_commands(std::cin, "standard input"); }

constexpr const char* no_commands =
    "no commands: give them as arguments, in a file (-f FILE) or on standard input";

}  // namespace

std::vector<std::string> read_commands(std::istream& lines, const std::string& name) {
    std::vector<std::string> commands;
    std::size_t number = 0;
    errno = 0;
    for (std::string line; std::getline(lines, line);) {
        if (++number == 1 && line.starts_with(byte_order_mark))
            line.erase(0, byte_order_mark.size());
        if (line.find('\0') != std::string::npos)
            throw InputError(
                fmt::format("{}, line {}: a command cannot hold a NUL byte", name, number));
        if (is_command(line)) commands.push_back(without_carriage_return(std::move(line)));
    }
    if (lines.bad()) throw InputError(fmt::format("cannot read {}: {}", name, reason()));
    return commands;
}

std::vector<std::string> collect_commands(std::vector<std::string> arguments,
                                          std::vector<std::string> files) {
    std::vector<std::string> commands = std::move(arguments);
    if (commands.empty() && files.empty() && !is_terminal(Stream::input)) files = {"-"};
    std::erase_if(commands, [](const std::string& command) { return !is_command(command); });
    for (const std::string& file : files) {
        std::vector<std::string> more = file == "-" ? read_standard_input() : read_file(file);
        commands.insert(commands.end(), std::make_move_iterator(more.begin()),
                        std::make_move_iterator(more.end()));
    }
    if (commands.empty()) throw InputError(no_commands);
    return commands;
}

}  // namespace batch
