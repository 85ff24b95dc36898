#pragma once
// A command with marks for values, in GNU parallel's syntax: `gzip -9 {}`.
//
//   {}     the value                      {#}   the command's number, from 1
//   {.}    without its extension          {%}   the number of its workplace, from 1 to --jobs
//   {/}    behind its last slash          {2}   the value of the second list; also
//   {//}   its folder, as dirname(1)            {2.} {2/} {2//} {2/.}
//   {/.}   {/} without its extension      \{}   no mark: {} as it stands
//
// With several lists `{}` is all their values, with a blank between them. A template without any
// mark gets ` {}` at its end.
//
// Values never become a part of the text that the shell reads. They are variables in the
// environment of the command, and the text refers to them: `gzip -9 "${ASYNCIO_BATCH_ARG_1}"`. So a
// value is one word for this shell, whatever bytes it has. If its mark stands in a quotation, it is
// a part of this quotation. The template must be read as a shell reads it, to find the quotations
// around the marks. A construction that this reader does not understand may give wrong words. It
// can never run a value, because the shell does not expand the content of a variable a second time.
//
// The alternative is to insert the quoted value into the text, as GNU parallel does. Then each
// mistake of the quoting is a command that an attacker can write into a file name.
//
// The text that is shown and logged is another one. It has the values in it, quoted as a user would
// type them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace tool::batch {

/// A template with a mistake. The text says which one.
class TemplateError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The part of a value that a mark takes.
enum class Part : std::uint8_t { whole, stem, name, folder, name_stem };

std::string part_of(std::string_view value, Part part);

/// `text` as one word of a shell: unchanged if that is safe, otherwise in single quotes.
std::string quoted(std::string_view text);

/// The values of a command, and its numbers.
struct Filling {
    std::size_t number = 0;
    /// 0 if no workplace was chosen yet.
    std::size_t slot = 0;
    std::span<const std::string> values;
};

/// Their names in the environment of a command.
inline constexpr std::string_view variable_prefix = "ASYNCIO_BATCH_";
inline constexpr std::string_view number_variable = "ASYNCIO_BATCH_SEQ";
inline constexpr std::string_view slot_variable = "ASYNCIO_BATCH_SLOT";
inline constexpr std::string_view value_variable = "ASYNCIO_BATCH_ARG_";

class Template {
public:
    /// `lists` is the number of values of each command.
    /// Throws: TemplateError for a mark of a list that does not exist, and for a mark in a
    /// here-document in which the shell expands nothing (`<<'END'`).
    Template(std::string_view text, std::size_t lists);

    /// The text for the shell; the same for all commands.
    const std::string& script() const noexcept { return script_; }

    /// "NAME=value" for each variable that the script refers to, without the numbers.
    std::vector<std::string> variables(std::span<const std::string> values) const;

    /// The command in the form for reports, with its values.
    std::string text(const Filling& filling) const;

    /// Whether the text depends on the slot, which differs from run to run.
    bool names_slot() const noexcept { return names_slot_; }

private:
    enum class Quotation : std::uint8_t { none, double_quotes, single_quotes, here_document };
    enum class Kind : std::uint8_t { literal, value, number, slot };

    /// A piece of the template: literal text, or a mark with the quotation around it.
    struct Piece {
        Kind kind = Kind::literal;
        std::string literal = {};
        Part part = Part::whole;
        /// From 1; 0 is all lists.
        std::size_t list = 0;
        Quotation quotation = Quotation::none;
    };

    class Parser;

    void add_to_script(const Piece& piece);
    std::vector<std::string> names(const Piece& piece) const;
    std::string shown(const Piece& piece, const Filling& filling) const;

    std::size_t lists_;
    std::vector<Piece> pieces_;
    std::string script_;
    bool names_slot_ = false;
};

}  // namespace tool::batch
