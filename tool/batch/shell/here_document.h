#pragma once
// Here-documents: texts in a command of the shell, from the line after `<<END` to the line `END`.
// Quotation marks have no meaning in them, and values are inserted unchanged.

#include <optional>
#include <string>
#include <string_view>

namespace tool::batch {

/// The document that `<<END`, `<<-END` or `<<'END'` begins on the next line.
struct HereDocument {
    /// The line that ends it.
    std::string end = {};
    /// `<<-`: tabs may stand before the last line.
    bool may_be_indented = false;
    /// The word was quoted, so the shell expands nothing in the text.
    bool is_literal = false;

    bool ends_at(std::string_view line) const;
};

std::string_view first_line(std::string_view text);

/// The operator and its word, at the front of `text`.
std::string_view here_operator(std::string_view text);

/// The document that begins with the operator at the front of `text`. Returns nothing if no later
/// line ends it: then the two characters are arithmetic (`$((1 << 2))`) or a part of `<<<`.
std::optional<HereDocument> begin_here_document(std::string_view text);

}  // namespace tool::batch
