// A small reader of quotations. It knows `'`, `"`, `\` and comments, and stops at everything else
// that a shell treats in a special way.
//
// The reader decides only the clear cases on purpose. The danger is a line whose quotation
// continues in the next line, because then names turn into commands. Such lines come from simple
// templates (`ls 'NAME'`), and these hold nothing else. A complete parser of the shell's language
// would find more of them, but each error in it would refuse a correct command.

#include "batch/shell/open_quotation.h"

#include "batch/shell/shell_words.h"

#include <algorithm>
#include <cstddef>

namespace tool::batch {
namespace {

constexpr const char* fault = "has a quotation without an end; if the line was made from file "
                              "names, give the names as values: asyncio batch 'ls -- {}' :::: -";

constexpr auto none = std::string_view::npos;

/// Where a quotation ends: the position behind it. `none` if it has no end, or if its end is not
/// known for sure.
struct End {
    std::size_t place = none;
    bool is_sure = true;
};

bool is_substitution(std::string_view text) {
    return text.front() == '`' || text.starts_with("$(") || text.starts_with("${");
}

End end_of_double_quotes(std::string_view text, std::size_t begin) {
    for (std::size_t place = begin + 1; place < text.size(); ++place) {
        if (is_substitution(text.substr(place))) return {none, false};
        if (text[place] == '"') return {place + 1};
        if (text[place] == '\\') ++place;
    }
    return {};
}

bool begins_word(std::string_view text, std::size_t place) {
    return place == 0 || word_ends.find(text[place - 1]) != none;
}

/// The position behind the quotation, the comment or the character at `place`.
End step(std::string_view text, std::size_t place) {
    const std::string_view rest = text.substr(place);
    if (is_substitution(rest) || rest.starts_with("<<") || rest.starts_with("$'")) {
        return {none, false};
    }
    switch (text[place]) {
        case '"': return end_of_double_quotes(text, place);
        case '\'': {
            const std::size_t end = text.find('\'', place + 1);
            return {end == none ? none : end + 1};
        }
        case '\\': return {std::min(place + 2, text.size())};
        case '#':
            if (begins_word(text, place)) return {std::min(text.find('\n', place), text.size())};
            return {place + 1};
        default: return {place + 1};
    }
}

}  // namespace

const char* find_open_quotation(std::string_view command) noexcept {
    for (std::size_t place = 0; place < command.size();) {
        const End end = step(command, place);
        if (!end.is_sure) return nullptr;
        if (end.place == none) return fault;
        place = end.place;
    }
    return nullptr;
}

}  // namespace tool::batch
