// A template is parsed once and used for every command.
//
//   Parser      cuts the text into literal pieces and marks, and notes the quotation of each mark
//   script_     the literal pieces, with a reference to a variable in place of each mark
//   variables   the values of these variables, for one command
//   text        the literal pieces and the quoted values, for reports
//
// The parser knows as much of the shell's grammar as quotations need: quotes, backslashes,
// substitutions, comments and here-documents. The states are a stack (`open_`), because a
// substitution may stand inside double quotes and may contain quotes of its own: "$(ls "{}")". The
// stack is explicit and no recursion, so a template cannot use up the call stack.

#include "batch/shell/template.h"

#include "batch/shell/here_document.h"
#include "batch/shell/shell_words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <deque>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace tool::batch {
namespace {

/// The three names of a part: in the code, in a mark, in a variable.
struct Suffix {
    Part part;
    std::string_view mark;
    /// The end of the variable's name.
    std::string_view variable;
};

constexpr std::array suffixes{
    Suffix{Part::whole, "", ""}, Suffix{Part::stem, ".", "_STEM"}, Suffix{Part::name, "/", "_NAME"},
    Suffix{Part::folder, "//", "_FOLDER"}, Suffix{Part::name_stem, "/.", "_NAME_STEM"}};

std::string_view without_folder(std::string_view value) {
    return value.substr(value.rfind('/') + 1);
}

/// A dot at the end of the value begins no extension, and neither does a dot in a folder's name.
std::string_view without_extension(std::string_view value) {
    const std::size_t dot = value.find_last_of("./");
    const bool has_one =
        dot != std::string_view::npos && value[dot] == '.' && dot + 1 < value.size();
    return has_one ? value.substr(0, dot) : value;
}

std::string_view without_last_slashes(std::string_view value) {
    while (value.size() > 1 && value.back() == '/') value.remove_suffix(1);
    return value;
}

std::string_view folder_of(std::string_view value) {
    value = without_last_slashes(value);
    const std::size_t slash = value.rfind('/');
    if (slash == std::string_view::npos) return ".";
    return without_last_slashes(value.substr(0, slash + 1));
}

/// Whether a character needs no quotes in any shell. The set is small on purpose: `=`, for example,
/// is special at the beginning of a command.
bool is_plain(char character) {
    constexpr std::string_view others = "_@%+:,./-";
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || others.find(character) != others.npos;
}

/// The text for the inside of single quotes. A single quote is written as `'\''`: the quotation
/// ends, a quoted quote follows, and a new quotation begins.
std::string in_single_quotes(std::string_view text) {
    std::string result;
    for (const char character : text) {
        if (character == '\'') {
            result += R"('\'')";
        } else {
            result += character;
        }
    }
    return result;
}

std::string with_backslashes(std::string_view text, std::string_view special) {
    std::string result;
    for (const char character : text) {
        if (special.find(character) != special.npos) result += '\\';
        result += character;
    }
    return result;
}

std::string in_double_quotes(std::string_view text) { return with_backslashes(text, "$`\"\\"); }

/// The text for a here-document. A line of the value could be the line that ends the document, so a
/// value of several lines is written as a substitution.
std::string in_here_document(std::string_view text) {
    if (text.find('\n') == text.npos) return with_backslashes(text, "$`\\");
    return "$(printf %s '" + in_single_quotes(text) + "')";
}

}  // namespace

std::string part_of(std::string_view value, Part part) {
    switch (part) {
        case Part::whole: break;
        case Part::stem: return std::string(without_extension(value));
        case Part::name: return std::string(without_folder(value));
        case Part::folder: return std::string(folder_of(value));
        case Part::name_stem: return std::string(without_extension(without_folder(value)));
    }
    return std::string(value);
}

std::string quoted(std::string_view text) {
    if (!text.empty() && std::ranges::all_of(text, is_plain)) return std::string(text);
    return "'" + in_single_quotes(text) + "'";
}

// ----------------------------------------------------------------------------- reading a template

/// Reads the quotations of the text as a shell does, and finds the marks.
class Template::Parser {
public:
    explicit Parser(std::string_view text) : rest_(text) {}

    std::vector<Piece> parse() {
        while (!rest_.empty()) {
            if (at_line_begin_ && is_in_document() && take_end_of_document()) continue;
            at_line_begin_ = false;
            if (auto mark = take_mark()) {
                end_literal();
                pieces_.push_back(std::move(*mark));
            } else {
                read_character();
            }
        }
        end_literal();
        return std::move(pieces_);
    }

    /// The template ends with the last line of a here-document. No text may be added to this line.
    bool ends_with_document() const { return at_line_begin_; }

private:
    /// The innermost open construction: a quotation (`'` or `"`), a substitution (`(` or a
    /// backtick), or none.
    char open() const { return open_.empty() ? '\0' : open_.back(); }

    /// Whether the reader is in the text of a here-document, and not in a substitution in it.
    bool is_in_document() const { return reads_documents_ && open_.empty(); }

    Quotation quotation() const {
        if (is_in_document()) return Quotation::here_document;
        if (open() == '"') return Quotation::double_quotes;
        return open() == '\'' ? Quotation::single_quotes : Quotation::none;
    }

    std::optional<Piece> take_mark() {
        // `${1}` belongs to the shell.
        if (rest_.front() != '{' || literal_.ends_with('$')) return std::nullopt;
        const std::size_t end = rest_.find('}');
        if (end == std::string_view::npos) return std::nullopt;
        auto mark = parse_mark(rest_.substr(1, end - 1));
        if (mark) rest_.remove_prefix(end + 1);
        return mark;
    }

    /// Reads the text between the braces. Returns nothing if it is no mark: braces have other uses
    /// in a shell, so unknown text stays unchanged.
    std::optional<Piece> parse_mark(std::string_view mark) const {
        Piece piece;
        piece.quotation = quotation();
        if (mark == "#" || mark == "%") {
            piece.kind = mark == "#" ? Kind::number : Kind::slot;
            require_expansion();
            return piece;
        }
        piece.kind = Kind::value;
        const auto [stop, error] =
            std::from_chars(mark.data(), mark.data() + mark.size(), piece.list);
        const bool is_numbered = error == std::errc{};
        if (is_numbered && piece.list == 0) return std::nullopt;
        if (is_numbered) mark.remove_prefix(static_cast<std::size_t>(stop - mark.data()));
        const auto* suffix = std::ranges::find(suffixes, mark, &Suffix::mark);
        if (error == std::errc::result_out_of_range || suffix == suffixes.end())
            return std::nullopt;
        piece.part = suffix->part;
        require_expansion();
        return piece;
    }

    /// Refuses a mark in a document whose text the shell does not expand: the variable's name would
    /// appear in place of the value.
    void require_expansion() const {
        if (!is_in_document() || !documents_.front().is_literal) return;
        throw TemplateError(fmt::format("the shell expands nothing in <<'{0}' ... {0}: write "
                                        "<<{0}, or \\{{}} for the text {{}}",
                                        documents_.front().end));
    }

    void read_character() {
        const char character = rest_.front();
        if (is_in_document()) return read_document();
        if (open() == '\'') {
            if (character == '\'') open_.pop_back();
            return add(1);
        }
        switch (character) {
            case '\\': return read_escape();
            case '"': toggle('"'); return add(1);
            case '`': toggle('`'); return add(1);
            case '\'':
                if (open() != '"') open_ += '\'';
                return add(1);
            case '$':
                if (rest_.starts_with("$(")) open_ += '(';
                return add(rest_.starts_with("$(") ? 2 : 1);
            case '(':
            case ')': return read_parenthesis(character);
            case '#': return read_hash();
            case '<': return read_here_operator();
            case '\n':
                // The documents that a line announces begin after this line.
                at_line_begin_ = true;
                reads_documents_ |= open_.empty() && !documents_.empty();
                return add(1);
            default: return add(1);
        }
    }

    /// A document is announced only outside of quotations and substitutions. Inside `$( )` it would
    /// end with the substitution, which this reader does not follow.
    void read_here_operator() {
        auto document = open_.empty() ? begin_here_document(rest_) : std::nullopt;
        if (!document) return add(rest_.starts_with("<<<") ? 3 : 1);
        documents_.push_back(std::move(*document));
        add(here_operator(rest_).size());
    }

    /// In the text of a here-document only backslashes and substitutions have a meaning.
    void read_document() {
        const char character = rest_.front();
        at_line_begin_ = character == '\n';
        const bool is_literal = documents_.front().is_literal;
        if (character == '\\') return read_escape();
        if (is_literal || (character != '`' && !rest_.starts_with("$("))) return add(1);
        open_ += character == '`' ? '`' : '(';
        add(character == '`' ? 1 : 2);
    }

    bool take_end_of_document() {
        const std::string_view line = first_line(rest_);
        if (!documents_.front().ends_at(line)) return false;
        add(std::min(line.size() + 1, rest_.size()));
        documents_.pop_front();
        reads_documents_ = !documents_.empty();
        return true;
    }

    void toggle(char character) {
        if (open() == character) {
            open_.pop_back();
        } else {
            open_ += character;
        }
    }

    /// `\{}` is no mark. Outside of quotations the shell removes the backslash.
    void read_escape() { add(std::min<std::size_t>(2, rest_.size())); }

    /// Inside `$( )` parentheses are counted in pairs, to find the end of the substitution. Outside
    /// they have no effect on quotations.
    void read_parenthesis(char character) {
        if (open() == '(') {
            if (character == '(') {
                open_ += '(';
            } else {
                open_.pop_back();
            }
        }
        add(1);
    }

    /// Skips a comment: an apostrophe in it begins no quotation.
    void read_hash() {
        const bool begins_word =
            literal_.empty()
                ? pieces_.empty()
                : literal_.back() == '`' || word_ends.find(literal_.back()) != word_ends.npos;
        if (open() == '"' || !begins_word) return add(1);
        add(std::min(rest_.find('\n'), rest_.size()));
    }

    void add(std::size_t count) {
        literal_ += rest_.substr(0, count);
        rest_.remove_prefix(count);
    }

    void end_literal() {
        if (literal_.empty()) return;
        pieces_.push_back({.literal = std::exchange(literal_, {})});
    }

    std::string_view rest_;
    /// The open quotations and substitutions, a stack of the characters of `open`.
    std::string open_;
    /// The literal text since the last mark.
    std::string literal_;
    std::vector<Piece> pieces_;
    /// The here-documents that were announced and have not ended, in their order.
    std::deque<HereDocument> documents_;
    /// The line that announced them has ended.
    bool reads_documents_ = false;
    bool at_line_begin_ = false;
};

Template::Template(std::string_view text, std::size_t lists) : lists_(lists) {
    // Newlines at the end are removed: a value that is added behind a newline would be a command of
    // its own.
    Parser parser(text.substr(0, text.find_last_not_of('\n') + 1));
    pieces_ = parser.parse();
    const auto is_mark = [](const Piece& piece) { return piece.kind != Kind::literal; };
    if (std::ranges::none_of(pieces_, is_mark)) {
        if (parser.ends_with_document()) {
            throw TemplateError("no value can be added after the end of a here-document: write {} "
                                "where the value belongs");
        }
        pieces_.push_back({.literal = " "});
        pieces_.push_back({.kind = Kind::value});
    }
    for (const Piece& piece : pieces_) add_to_script(piece);
}

// -------------------------------------------------------------------------------------- filling it

/// The variables that a mark refers to.
std::vector<std::string> Template::names(const Piece& piece) const {
    if (piece.kind == Kind::number) return {std::string(number_variable)};
    if (piece.kind == Kind::slot) return {std::string(slot_variable)};
    const auto* suffix = std::ranges::find(suffixes, piece.part, &Suffix::part);
    const std::size_t first = piece.list == 0 ? 1 : piece.list;
    const std::size_t last = piece.list == 0 ? lists_ : piece.list;
    std::vector<std::string> all;
    for (std::size_t list = first; list <= last; ++list) {
        all.push_back(fmt::format("{}{}{}", value_variable, list, suffix->variable));
    }
    return all;
}

void Template::add_to_script(const Piece& piece) {
    if (piece.kind == Kind::literal) {
        script_ += piece.literal;
        return;
    }
    if (piece.list > lists_) {
        throw TemplateError(
            fmt::format("the template names {{{}}}, but there {} {} list{} of values", piece.list,
                        lists_ == 1 ? "is" : "are", lists_, lists_ == 1 ? "" : "s"));
    }
    names_slot_ |= piece.kind == Kind::slot;
    // The shell expands no variable inside single quotes. So the quotation is closed before the
    // references and opened again after them.
    const bool needs_quotes =
        piece.quotation == Quotation::none || piece.quotation == Quotation::single_quotes;
    const char* gap = piece.quotation == Quotation::none ? "\" \"" : " ";
    std::string references;
    for (const std::string& name : names(piece)) {
        if (!references.empty()) references += gap;
        references += "${" + name + "}";
    }
    if (needs_quotes) references = "\"" + references + "\"";
    if (piece.quotation == Quotation::single_quotes) references = "'" + references + "'";
    script_ += references;
}

/// The whole values are always there, because a command may read them from its environment. Parts
/// are added as far as marks use them. Two marks may use the same part, so repetitions are removed.
std::vector<std::string> Template::variables(std::span<const std::string> values) const {
    std::vector<std::string> all;
    all.reserve(values.size());
    for (std::size_t index = 0; index < values.size(); ++index) {
        all.push_back(fmt::format("{}{}={}", value_variable, index + 1, values[index]));
    }
    for (const Piece& piece : pieces_) {
        if (piece.kind != Kind::value || piece.part == Part::whole) continue;
        std::size_t index = piece.list == 0 ? 0 : piece.list - 1;
        for (const std::string& name : names(piece)) {
            all.push_back(name + "=" + part_of(values[index++], piece.part));
        }
    }
    std::ranges::sort(all);
    const auto repeated = std::ranges::unique(all);
    all.erase(repeated.begin(), repeated.end());
    return all;
}

std::string Template::text(const Filling& filling) const {
    std::string all;
    for (const Piece& piece : pieces_) all += shown(piece, filling);
    return all;
}

std::string Template::shown(const Piece& piece, const Filling& filling) const {
    if (piece.kind == Kind::literal) return piece.literal;
    if (piece.kind == Kind::number) return fmt::to_string(filling.number);
    if (piece.kind == Kind::slot) return filling.slot == 0 ? "{%}" : fmt::to_string(filling.slot);
    const std::size_t first = piece.list == 0 ? 0 : piece.list - 1;
    const std::size_t last = piece.list == 0 ? lists_ : piece.list;
    std::string words;
    for (std::size_t index = first; index < last; ++index) {
        const std::string value = part_of(filling.values[index], piece.part);
        if (index > first) words += ' ';
        switch (piece.quotation) {
            case Quotation::none: words += quoted(value); break;
            case Quotation::double_quotes: words += in_double_quotes(value); break;
            case Quotation::single_quotes: words += in_single_quotes(value); break;
            case Quotation::here_document: words += in_here_document(value); break;
        }
    }
    return words;
}

}  // namespace tool::batch
