#pragma once
// Sorts the words of a command line before CLI11 reads them.
//
// CLI11 gives some words a meaning of its own: `++` ends a group of options, `[ a, b ]` is a list,
// and the name of a subcommand begins that subcommand. A command may be any of these words. So
// CLI11 gets only the options and their values.
//
//   batch OPTIONS COMMANDS…                       options may stand behind commands
//   batch OPTIONS -- COMMANDS…                    behind `--` nothing is an option
//   batch OPTIONS TEMPLATE… ::: VALUES…           options end at the first word of the template

#include "batch/input/list_words.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

// NOLINTNEXTLINE(readability-identifier-naming): the name is CLI11's.
namespace CLI {
class App;
}

namespace tool::batch {

struct CommandLine {
    /// Options and their values, in the order and the form that CLI11 reads.
    std::vector<std::string> options;
    /// The commands; with `lists`, the words of the template.
    std::vector<std::string> words;
    std::vector<ListWords> lists;
};

/// Sorts `arguments`. `app` is asked which options exist and which of them take a value.
CommandLine sort_arguments(const CLI::App& app, std::span<const std::string> arguments);

}  // namespace tool::batch
