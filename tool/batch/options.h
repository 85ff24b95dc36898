#pragma once
// What the user asks of a batch, and how it is written on the command line.

#include <asyncio.h>

#include "batch/command_line.h"
#include "batch/halt.h"
#include "batch/input.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

// NOLINTNEXTLINE(readability-identifier-naming): the name is CLI11's.
namespace CLI {
class App;
}

namespace batch {

struct Options {
    /// The commands; with `lists`, the words of a template.
    std::vector<std::string> words;
    /// The values for the template.
    std::vector<ListWords> lists;
    /// Where more commands are; "-" is standard input.
    std::vector<std::string> files;
    ItemEnd item_end = ItemEnd::line;

    /// Nothing: no limit.
    std::optional<asyncio::Duration> timeout;
    /// Between SIGTERM and SIGKILL.
    asyncio::Duration grace = std::chrono::seconds(1);
    /// How many run at once; 0 is all.
    std::size_t jobs = 1;
    /// How often a command is tried until it succeeds; 0 is without end.
    std::size_t tries = 1;
    Halt halt;

    /// Each command has the terminal to itself.
    bool tty = false;
    /// With `tty`: the process group that has the terminal otherwise.
    std::optional<int> terminal_owner;

    bool keep_order = false;
    bool tag = false;
    /// Whole lines are shown while a command runs.
    bool line_buffer = false;
    /// Nothing runs; what would is shown.
    bool dry_run = false;
    /// Where each command's output goes as well; nothing is nowhere.
    std::string results;
    /// Commands get no descriptors but the standard ones.
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

}  // namespace batch
