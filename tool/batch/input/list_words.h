#pragma once
// A list of values as the command line gives it: behind `:::` stand the values themselves, behind
// `::::` the files that hold them.

#include <string>
#include <vector>

namespace tool::batch {

/// A list of values for a template, in the form of the command line.
struct ListWords {
    /// False: the words are the values (`:::`). True: they name files that hold them (`::::`).
    bool in_files = false;
    /// `:::+` and `::::+`: the values are paired with those of the list before.
    bool linked = false;
    std::vector<std::string> words;

    bool operator==(const ListWords&) const = default;
};

}  // namespace tool::batch
