#pragma once
// What a batch is to run, made of its options before anything runs: files are opened and templates
// read, so that what cannot be had or meant is said before the first command.

#include "batch/feed.h"
#include "batch/options.h"
#include "batch/template.h"

#include <memory>
#include <optional>
#include <vector>

namespace batch {

struct Plan {
    std::unique_ptr<Feed> feed;
    /// Nothing where the commands are complete as they come.
    std::optional<Template> filled;
    /// What the commands inherit, beside the standard streams.
    std::vector<int> descriptors;
};

/// Throws: InputError, TemplateError.
Plan make_plan(const Options& options);

}  // namespace batch
