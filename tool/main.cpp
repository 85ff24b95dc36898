// The command `asyncio`: its subcommands, and what it says when it is asked in a way it does not
// understand.

#include "batch/batch.h"
#include "batch/options.h"
#include "batch/say.h"

#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace {

/// GNU parallel's, and that of every error that is not a command's.
constexpr int bad_usage = 255;

int report(const CLI::App& app, const CLI::ParseError& error) {
    // `--help` and `--version` come this way too. They are no errors and go to standard output.
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
