#pragma once
// The options of a batch, and how they are read from the command line.

#include <asyncio.h>

#include "batch/input/input.h"
#include "batch/input/list_words.h"
#include "batch/job/halt.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

// NOLINTNEXTLINE(readability-identifier-naming): the name is CLI11's.
namespace CLI {
class App;
}

namespace tool::batch {

struct Options {
    /// The commands; with `lists`, the words of a template.
    std::vector<std::string> words;
    /// The values for the template.
    std::vector<ListWords> lists;
    /// Files with more commands; "-" is standard input.
    std::vector<std::string> files;
    ItemEnd item_end = ItemEnd::line;

    /// The limit of each command; empty: no limit.
    std::optional<asyncio::Duration> timeout;
    /// The time between SIGTERM and SIGKILL.
    asyncio::Duration grace = std::chrono::seconds(1);
    /// How many commands run at once; 0 is all.
    std::size_t jobs = 1;
    /// How often a command is tried until it succeeds; 0 is no limit.
    std::size_t tries = 1;
    Halt halt;

    /// The commands use the terminal, one after another.
    bool tty = false;
    /// With `tty`: the process group that has the terminal while no command has it.
    std::optional<int> terminal_owner;

    bool keep_order = false;
    bool tag = false;
    /// Complete lines are shown while a command runs.
    bool line_buffer = false;
    /// The commands are shown and not run.
    bool dry_run = false;
    /// The folder that gets a copy of each command's output; empty: no copy.
    std::string results;
    /// Commands get only the standard descriptors.
    bool close_descriptors = false;

    std::string job_log;
    bool resume = false;
    bool resume_failed = false;

    /// "-" is standard output.
    std::string json;
    bool timeline = false;
    bool no_progress = false;
    bool quiet = false;
};

/// The subcommand's name.
inline constexpr const char* batch_name = "batch";

/// Adds the options of `asyncio batch` to a command line. `parse` fills in `options`.
void add_options(CLI::App& app, Options& options);

/// Parses the command line of the whole program, of which `app` describes every option.
/// Throws: `CLI::ParseError` naming what cannot be read.
void parse(CLI::App& app, Options& options, int argc, char** argv);

}  // namespace tool::batch
