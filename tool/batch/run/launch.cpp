// How a command gets its environment and its script.
//
// With a template, the script is the same for every command, and only the environment differs. This
// is what keeps values from being run: they never become a part of a script (`template.h`).

#include "batch/run/launch.h"

#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace tool::batch {

Launcher::Launcher(const Template* filled, std::span<const int> descriptors)
    : filled_(filled), descriptors_(descriptors) {
    for (char** entry = environ; *entry != nullptr; ++entry) {
        if (!std::string_view(*entry).starts_with(variable_prefix))
            environment_.emplace_back(*entry);
    }
}

Job Launcher::job_of(const Command& command, std::size_t slot) const {
    Job job;
    job.number = command.number;
    job.slot = slot;
    job.command =
        filled_ != nullptr ? filled_->text({command.number, slot, command.values}) : command.text;
    return job;
}

void Launcher::prepare(Launch& launch, const Job& job, const Command& command) const {
    // The common part is copied once for each workplace. It stays at the front, and only the
    // variables behind it are replaced.
    std::vector<std::string>& environment = launch.environment;
    if (environment.empty()) environment = environment_;
    environment.resize(environment_.size());
    environment.push_back(fmt::format("{}={}", number_variable, job.number));
    environment.push_back(fmt::format("{}={}", slot_variable, job.slot));
    if (filled_ != nullptr) {
        for (std::string& variable : filled_->variables(command.values))
            environment.push_back(std::move(variable));
    }
    launch.script = filled_ != nullptr ? std::string_view(filled_->script()) : job.command;
    launch.descriptors = descriptors_;
}

}  // namespace tool::batch
