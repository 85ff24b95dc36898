#pragma once
// Whether a command ends inside a quotation: `ls 'it's.png'`, made from a file's name.

#include <string_view>

namespace batch {

/// What is wrong with a command that ends inside a quotation. nullptr for every other command, and
/// for one that holds more than quotations, backslashes and comments (a substitution, a
/// here-document, `$'...'`): only a shell knows where these end.
const char* find_open_quotation(std::string_view command) noexcept;

}  // namespace batch
