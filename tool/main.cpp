// The command `asyncio`: it chooses the subcommand, and it reports a command line that it cannot
// read.
//
// Only the parsing with CLI11 is here. `batch::parse` sorts the words first, because CLI11 would
// give some of them another meaning (`batch/command_line.h`). No thread and no loop exists in this
// file: `batch::main` forks, and a fork of a process with threads copies only one of them.

#include "batch/batch.h"
#include "batch/options.h"
#include "batch/say.h"

#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

/// The exit status of a wrong command line, as in GNU parallel.
constexpr int bad_usage = 255;

int report(const CLI::App& app, const CLI::ParseError& error) {
    // CLI11 reports `--help` and `--version` as errors with exit code 0. Their text goes to
    // standard output. A script may read it, so a failed write is an error of its own.
    if (error.get_exit_code() == 0) {
        app.exit(error);
        if (std::cout.flush()) return 0;
        batch::say_as_is("asyncio: standard output cannot be written\n");
        return bad_usage;
    }
    batch::say_as_is(fmt::format("asyncio: {}\nTry `asyncio --help` or `asyncio batch --help`.\n",
                                 error.what()));
    return bad_usage;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Tools that stand on asyncio for C++.", "asyncio");
    app.set_version_flag("--version", "asyncio " ASYNCIO_VERSION);
    app.require_subcommand(1);

    batch::Options options;
    CLI::App* batch_command = app.add_subcommand(
        batch::batch_name, "Run shell commands together, each with a time limit.");
    batch::add_options(*batch_command, options);

    try {
        batch::parse(app, options, argc, argv);
    } catch (const CLI::ParseError& error) {
        return report(app, error);
    }
    return batch::main(std::move(options));
}
