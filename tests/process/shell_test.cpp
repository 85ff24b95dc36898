// A command for the shell is a command, whatever its first character is.

#include "process/process_help.h"

#include <gtest/gtest.h>

namespace {

using namespace asyncio;
using namespace process_test;

TEST(shell, SPR_23_runs_a_command_that_begins_as_an_option_does) {
    run_test([]() -> Coro<> {
        // None of these programs exists; a shell that took one for an option would exit with 2, or
        // with 0 and without a word.
        for (const char* command : {"-no-such-tool", "+no-such-tool", "-c", "--", "-", "-e true"}) {
            const SubprocessOptions options{.stderr = DEVNULL};
            Process process = co_await create_subprocess_shell(command, options);
            const int code = co_await process.wait();
            EXPECT_EQ(code, 127) << command;
        }
    });
}

}  // namespace
