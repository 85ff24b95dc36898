// A small decoder for UTF-8 and the widths of characters.
//
// The decoder of the C library (`mbrtowc`) depends on the locale and stops at an invalid byte. This
// one accepts any bytes and gives invalid ones one by one, so a damaged name loses only its damaged
// part.

#include "terminal/text.h"

#include <cwchar>

namespace tool {
namespace {

/// A character of a text. Each byte that belongs to no character is an `invalid` one.
struct Character {
    std::string_view bytes;
    char32_t code;
};
constexpr char32_t invalid = 0xFFFFFFFF;
constexpr std::string_view replacement = "\xEF\xBF\xBD";

/// The length of the character that begins with this byte; 0 if no character begins with it.
std::size_t length_by_first_byte(unsigned char first) noexcept {
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return 2;
    if (first >= 0xE0 && first <= 0xEF) return 3;
    if (first >= 0xF0 && first <= 0xF4) return 4;
    return 0;
}

/// Whether RFC 3629 forbids the character: it is written with too many bytes, it is half of a
/// surrogate pair, or it is beyond the last character.
bool is_forbidden(char32_t code, std::size_t length) noexcept {
    return (length == 3 && code < 0x800) || (length == 4 && code < 0x10000) ||
           (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF;
}

/// Takes the next character off the front. `text` must not be empty.
Character take_character(std::string_view& text) noexcept {
    const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
    const std::size_t length = length_by_first_byte(byte(0));
    bool whole = length > 0 && length <= text.size();
    char32_t code = length <= 1 ? byte(0) : byte(0) & (0xFFU >> (length + 1));
    for (std::size_t index = 1; whole && index < length; ++index) {
        whole = (byte(index) & 0xC0) == 0x80;
        code = (code << 6) | (byte(index) & 0x3FU);
    }
    if (!whole || is_forbidden(code, length)) code = invalid;
    const Character character{text.substr(0, code == invalid ? 1 : length), code};
    text.remove_prefix(character.bytes.size());
    return character;
}

/// The form of a character on the terminal.
struct Shown {
    std::string_view text;
    std::size_t columns;
};

Shown show(const Character& character, Charset charset) noexcept {
    const bool is_control = character.code < 0x20 || character.code == 0x7F ||
                            (character.code >= 0x80 && character.code < 0xA0);
    if (is_control) return {" ", 1};
    if (character.code < 0x80) return {character.bytes, 1};
    if (charset == Charset::ascii || character.code == invalid) return {"?", 1};
    // wcwidth knows wide and combining characters. It returns −1 for characters that the tables of
    // this system do not have.
    const int width = ::wcwidth(static_cast<wchar_t>(character.code));
    if (width < 0) return {"?", 1};
    return {character.bytes, static_cast<std::size_t>(width)};
}

std::string_view ellipsis(Charset charset) noexcept {
    return charset == Charset::utf8 ? "…" : "...";
}

}  // namespace

std::size_t columns(std::string_view text, Charset charset) {
    std::size_t sum = 0;
    while (!text.empty()) sum += show(take_character(text), charset).columns;
    return sum;
}

std::string shortened(std::string_view text, std::size_t limit, Charset charset) {
    const std::string_view mark = ellipsis(charset);
    const std::size_t mark_columns = columns(mark, charset);
    std::string line;
    std::size_t used = 0;
    // Where the ellipsis would have to begin if the text does not fit.
    std::size_t cut = 0;
    while (!text.empty()) {
        const Shown next = show(take_character(text), charset);
        if (used + mark_columns <= limit) cut = line.size();
        if (used + next.columns > limit) return line.substr(0, cut) += mark;
        line += next.text;
        used += next.columns;
    }
    return line;
}

std::string padded(std::string text, std::size_t width, Charset charset) {
    const std::size_t used = columns(text, charset);
    if (used < width) text.append(width - used, ' ');
    return text;
}

std::string valid_utf8(std::string_view text) {
    std::string valid;
    valid.reserve(text.size());
    while (!text.empty()) {
        const Character character = take_character(text);
        valid += character.code == invalid ? replacement : character.bytes;
    }
    return valid;
}

}  // namespace tool
