#include "batch/plan.h"

#include "batch/command_feed.h"
#include "batch/descriptors.h"
#include "batch/terminal.h"
#include "batch/value_feed.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace batch {
namespace {

/// Of two readers, each would get what the other does not.
void require_standard_input_once(const Options& options) {
    auto count = std::ranges::count(options.files, "-");
    for (const ListWords& list : options.lists) {
        if (list.in_files) count += std::ranges::count(list.words, "-");
    }
    if (count > 1) throw InputError("standard input can be read only once");
}

/// `:::: $FILES` with an empty variable: without its list, the template would run once, for
/// nothing.
void require_files(const std::vector<ListWords>& lists) {
    for (const ListWords& list : lists) {
        if (list.in_files && list.words.empty()) {
            throw TemplateError(
                fmt::format("there is no file behind ::::{}", list.linked ? "+" : ""));
        }
    }
}

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
        throw TemplateError("-f gives commands, and ::: gives values to one: not both");
    }
    require_files(options.lists);
    auto values = std::make_unique<ValueFeed>(options.lists, options.item_end);
    // As GNU parallel does, the words are one command with blanks between them.
    plan.filled.emplace(fmt::format("{}", fmt::join(options.words, " ")), values->lists());
    plan.feed = std::move(values);
    return plan;
}

}  // namespace batch
