#pragma once
// The plan of a batch, made from its options before any command runs. It opens the files and reads
// the template. So the user learns of a missing file or a wrong template before the first command.

#include "batch/input/feed.h"
#include "batch/options/options.h"
#include "batch/shell/template.h"

#include <memory>
#include <optional>
#include <vector>

namespace tool::batch {

struct Plan {
    std::unique_ptr<Feed> feed;
    /// The template. Empty if the commands need none.
    std::optional<Template> filled;
    /// The descriptors that the commands inherit, in addition to the standard ones.
    std::vector<int> descriptors;
};

/// Throws: InputError, TemplateError.
Plan make_plan(const Options& options);

}  // namespace tool::batch
