#pragma once
// The words of a command line, sorted before CLI11 reads it.
//
// CLI11 gives some words a meaning of its own: `++` ends a group of options, `[ a, b ]` is a list,
// a word that is the name of a subcommand begins it. A command may be any of these, so CLI11 gets
// the options and their values, and nothing else.
//
//   batch OPTIONS COMMANDS…                       options may stand behind commands
//   batch OPTIONS -- COMMANDS…                    behind `--` nothing is an option
//   batch OPTIONS TEMPLATE… ::: VALUES…           options end at the first word of the template

#include <span>
#include <string>
#include <string_view>
#include <vector>

// NOLINTNEXTLINE(readability-identifier-naming): the name is CLI11's.
namespace CLI {
class App;
}

namespace batch {

/// A list of values for a template, as it stands on the command line.
struct ListWords {
    /// `:::` names the values, `::::` the files in which they are.
    bool in_files = false;
    /// `:::+` and `::::+`: goes in step with the list before it.
    bool linked = false;
    std::vector<std::string> words;

    bool operator==(const ListWords&) const = default;
};

struct CommandLine {
    /// Options and their values, in the order and the form that CLI11 reads.
    std::vector<std::string> options;
    /// The commands; with `lists`, the words of the template.
    std::vector<std::string> words;
    std::vector<ListWords> lists;
};

/// Sorts `arguments`; `app` knows which options there are and which of them have a value.
CommandLine sort_arguments(const CLI::App& app, std::span<const std::string> arguments);

}  // namespace batch
