// How a here-document is recognised without a parser of the shell's language.
//
// `<<` is also the shift of arithmetic, and only a complete parser could tell the two apart. A
// document must have a line that ends it, so the code looks for that line. A shift has such a line
// only by an unlikely accident, and even then a value is never run (`template.h`).

#include "batch/shell/here_document.h"

#include "batch/shell/shell_words.h"

#include <algorithm>
#include <cstddef>

namespace tool::batch {

bool HereDocument::ends_at(std::string_view line) const {
    if (may_be_indented) line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
    return line == end;
}

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

std::string_view here_operator(std::string_view text) {
    std::size_t begin = text.starts_with("<<-") ? 3 : 2;
    begin = std::min(text.find_first_not_of(" \t", begin), text.size());
    return text.substr(0, text.find_first_of(word_ends, begin));
}

std::optional<HereDocument> begin_here_document(std::string_view text) {
    if (!text.starts_with("<<") || text.starts_with("<<<")) return std::nullopt;
    const std::string_view all = here_operator(text);
    HereDocument document;
    document.may_be_indented = text.starts_with("<<-");
    // A quotation mark anywhere in the word makes the document literal, as in the shell.
    for (const char character : all.substr(document.may_be_indented ? 3 : 2)) {
        const bool quotes = std::string_view("'\"\\").find(character) != std::string_view::npos;
        document.is_literal |= quotes;
        if (!quotes && character != ' ' && character != '\t') document.end += character;
    }
    while (text.find('\n') != text.npos) {
        text.remove_prefix(text.find('\n') + 1);
        if (document.ends_at(first_line(text))) return document;
    }
    return std::nullopt;
}

}  // namespace tool::batch
