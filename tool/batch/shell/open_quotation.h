#pragma once
// Finds commands that end inside a quotation, such as `ls 'it's.png'`. A program that makes
// commands from file names without quoting produces them.

#include <string_view>

namespace tool::batch {

/// The fault of a command that ends inside a quotation. nullptr for every other command. Also
/// nullptr for a command that holds more than quotations, backslashes and comments (a substitution,
/// a here-document, `$'...'`): only a shell knows where these end, and a correct command must not
/// be refused.
const char* find_open_quotation(std::string_view command) noexcept;

}  // namespace tool::batch
