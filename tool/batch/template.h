#pragma once
// A command with places for values: `gzip -9 {}`, with GNU parallel's marks.
//
//   {}     the value                      {#}   the command's number, from 1
//   {.}    without its extension          {%}   the number of its place, from 1 to --jobs
//   {/}    behind its last slash          {2}   the value of the second list; also
//   {//}   its folder, as dirname(1)            {2.} {2/} {2//} {2/.}
//   {/.}   {/} without its extension      \{}   no mark: {} as it stands
//
// With several lists `{}` is all their values, with a blank between them. A template without any
// mark gets ` {}` at its end.
//
// Values never become part of the text that the shell reads. They are variables in the environment
// of the command, and the text refers to them: `gzip -9 "${ASYNCIO_BATCH_ARG_1}"`. So whatever
// bytes a value has, it is one word for this shell, or a part of the quotation that the mark stands
// in. To get that right for people's quotations, the template is read as a shell would read it; a
// construction that is not understood here may give wrong words, but can never run a value.
//
// What is shown and logged is another text, with the values in it, quoted: what a user would type.

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace batch {

/// A template that cannot be meant. The text says why.
class TemplateError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What a mark makes of a value.
enum class Part : std::uint8_t { whole, stem, name, folder, name_stem };

std::string part_of(std::string_view value, Part part);

/// `text` as one word of a shell: as it is where that is safe, else in single quotes.
std::string quoted(std::string_view text);

/// The values of a command, and its numbers.
struct Filling {
    std::size_t number = 0;
    /// 0: not known yet.
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
    /// For commands with so many values each.
    /// Throws: TemplateError for a mark of a list that is not there, and for one in a here-document
    /// that the shell takes as it stands (`<<'END'`).
    Template(std::string_view text, std::size_t lists);

    /// What the shell runs; the same for all commands.
    const std::string& script() const noexcept { return script_; }

    /// "NAME=value" for each that the script refers to, without the numbers.
    std::vector<std::string> variables(std::span<const std::string> values) const;

    /// The command as it is shown.
    std::string text(const Filling& filling) const;

    /// Whether the text depends on the slot, which differs from run to run.
    bool names_slot() const noexcept { return names_slot_; }

private:
    enum class Quotation : std::uint8_t { none, double_quotes, single_quotes, here_document };
    enum class Kind : std::uint8_t { literal, value, number, slot };

    /// Literal text, or a mark.
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

}  // namespace batch
