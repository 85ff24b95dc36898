#pragma once
// The plan of a batch, made from its options before any command runs. It opens the files and reads
// the template. So the user learns of a missing file or a wrong template before the first command.

#include "batch/feed.h"
#include "batch/options.h"
#include "batch/template.h"

#include <memory>
#include <optional>
#include <vector>

namespace batch {

struct Plan {
    std::unique_ptr<Feed> feed;
    /// The template. Empty if the commands need none.
    std::optional<Template> filled;
    /// The descriptors that the commands inherit, in addition to the standard ones.
    std::vector<int> descriptors;
};

/// Throws: InputError, TemplateError.
Plan make_plan(const Options& options);

}  // namespace batch
