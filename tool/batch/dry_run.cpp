// The commands of a dry run go through the same feed and the same launcher as in a real batch. So
// the shown text is the one that the table and the job log of a real batch show.

#include "batch/dry_run.h"

#include "batch/input/input.h"
#include "terminal/console.h"

#include <optional>

namespace tool::batch {

asyncio::Coro<DryRunResult> show_commands(Feed& feed, const Launcher& launcher,
                                          const Resume& resume) {
    DryRunResult result;
    Console console;
    try {
        for (;;) {
            std::optional<Command> command = co_await feed.next();
            if (!command) break;
            if (resume.done(command->number) != nullptr) continue;
            Blocks line;
            line.append(launcher.job_of(*command, 0).command + "\n");
            Blocks none;
            co_await console.write(std::move(line), std::move(none));
        }
    } catch (const InputError& error) {
        result.input_error = error.what();
    } catch (const asyncio::OsError& refusal) {
        result.output_error = refusal.error();
    }
    co_return result;
}

}  // namespace tool::batch
