// The rules for which options fit together, and the choice between the two feeds.
//
// The inherited descriptors are listed first: every file that is opened here would otherwise look
// like one that the launcher has left open.

#include "batch/plan.h"

#include "batch/input/command_feed.h"
#include "batch/input/value_feed.h"
#include "guard/descriptors.h"
#include "terminal/terminal.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tool::batch {
namespace {

/// Two readers of standard input would each get only a part of it.
void require_standard_input_once(const Options& options) {
    auto count = std::ranges::count(options.files, "-");
    for (const ListWords& list : options.lists) {
        if (list.in_files) count += std::ranges::count(list.words, "-");
    }
    if (count > 1) throw InputError("standard input can be read only once");
}

/// Refuses `::::` without a file, as `:::: $FILES` with an empty variable gives it. Without this
/// check the template would run once, with no value.
void require_files(const std::vector<ListWords>& lists) {
    for (const ListWords& list : lists) {
        if (list.in_files && list.words.empty()) {
            throw TemplateError(
                fmt::format("there is no file after ::::{}", list.linked ? "+" : ""));
        }
    }
}

/// Without commands and files, the commands come from standard input, but not from a terminal: a
/// user who types only `asyncio batch` wants a message, not a program that waits.
std::unique_ptr<Feed> make_command_feed(const Options& options) {
    std::vector<std::string> files = options.files;
    const bool has_none = options.words.empty() && files.empty();
    if (has_none && !is_terminal(Stream::input)) files = {"-"};
    std::vector<Input> inputs;
    inputs.reserve(files.size());
    for (const std::string& file : files) inputs.push_back(open_input(file));
    return std::make_unique<CommandFeed>(options.words, std::move(inputs), options.item_end);
}

}  // namespace

Plan make_plan(const Options& options) {
    Plan plan;
    if (!options.close_descriptors) plan.descriptors = inherited_descriptors();
    require_standard_input_once(options);
    if (options.lists.empty()) {
        plan.feed = make_command_feed(options);
        return plan;
    }
    if (options.words.empty()) throw TemplateError("there is no command before :::");
    if (!options.files.empty()) {
        throw TemplateError("-f and ::: cannot be used together: -f gives commands, ::: gives "
                            "values to one command");
    }
    require_files(options.lists);
    auto values = std::make_unique<ValueFeed>(options.lists, options.item_end);
    // The words are joined by blanks to one command, as in GNU parallel.
    plan.filled.emplace(fmt::format("{}", fmt::join(options.words, " ")), values->lists());
    plan.feed = std::move(values);
    return plan;
}

}  // namespace tool::batch
