// The command `asyncio`: it chooses the subcommand, and it reports a command line that it cannot
// read.
//
// Only the parsing with CLI11 is here. `batch::parse` sorts the words first, because CLI11 would
// give some of them another meaning (`batch/options/command_line.h`). No thread and no loop exists
// in this file: `batch::main` forks, and a fork of a process with threads copies only one of them.

#include "batch/batch.h"
#include "batch/options/options.h"
#include "exit_codes.h"
#include "terminal/say.h"

#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

int report(const CLI::App& app, const CLI::ParseError& error) {
    // CLI11 reports `--help` and `--version` as errors with exit code 0. Their text goes to
    // standard output. A script may read it, so a failed write is an error of its own.
    if (error.get_exit_code() == 0) {
        app.exit(error);
        if (std::cout.flush()) return 0;
        tool::say_as_is("asyncio: cannot write standard output\n");
        return tool::other_error;
    }
    tool::say_as_is(fmt::format("asyncio: {}\nTry `asyncio --help` or `asyncio batch --help`.\n",
                                error.what()));
    return tool::other_error;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Tools that use asyncio for C++.", "asyncio");
    app.set_version_flag("--version", "asyncio " ASYNCIO_VERSION);
    app.require_subcommand(1);

    tool::batch::Options options;
    CLI::App* batch_command = app.add_subcommand(
        tool::batch::batch_name, "Run shell commands together, each with a time limit.");
    tool::batch::add_options(*batch_command, options);

    try {
        tool::batch::parse(app, options, argc, argv);
    } catch (const CLI::ParseError& error) {
        return report(app, error);
    }
    return tool::batch::main(std::move(options));
}
