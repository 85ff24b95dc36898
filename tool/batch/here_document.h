#pragma once
// Texts in a command of the shell, from the line behind `<<END` to the line `END`. Quotation marks
// mean nothing in them, and values go in as they are.

#include <optional>
#include <string>
#include <string_view>

namespace batch {

/// `<<END`, `<<-END`, `<<'END'`: what follows from the next line on.
struct HereDocument {
    std::string end = {};
    bool may_be_indented = false;
    /// The shell puts nothing in.
    bool is_literal = false;

    bool ends_at(std::string_view line) const;
};

std::string_view first_line(std::string_view text);

/// The operator and its word, at the front of `text`.
std::string_view here_operator(std::string_view text);

/// The document that begins with the operator at the front of `text`. Nothing if no line below ends
/// it: then this is arithmetic, or `<<<`.
std::optional<HereDocument> begin_here_document(std::string_view text);

}  // namespace batch
