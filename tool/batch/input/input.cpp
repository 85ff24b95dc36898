// How an input is opened before the loop and read inside it.
//
// The two halves run in different processes. `open_input` runs before the fork,
// so it blocks freely and may use the terminal. `ItemReader` runs in the worker's loop: a slow pipe
// must not delay the commands, so it reads through a stream.
//
// Regular files are read through the same stream. The alternative, reading them whole at once,
// would delay the first command of a large file.

#include "batch/input/input.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tool::batch {
namespace {

using asyncio::Coro;
using asyncio::lowlevel::Fd;

constexpr std::size_t chunk_bytes = 64 * 1024;
constexpr std::string_view utf8_mark = "\xEF\xBB\xBF";
constexpr std::string_view utf16_marks[] = {"\xFF\xFE", "\xFE\xFF"};

[[noreturn]] void cannot_read(const std::string& name, int error) {
    const std::string_view shown = name.empty() ? R"("")" : std::string_view(name);
    throw InputError(fmt::format("cannot read {}: {}", shown, std::strerror(error)));
}

/// Reads everything, without a loop. The call blocks as long as a user types.
std::string read_to_end(int file, const std::string& name) {
    std::string text;
    for (;;) {
        const std::size_t size = text.size();
        text.resize(size + chunk_bytes);
        const ssize_t count = ::read(file, text.data() + size, chunk_bytes);
        text.resize(size + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        if (count == 0) return text;
        if (count < 0 && errno != EINTR) cannot_read(name, errno);
    }
}

/// Fills in what the kind of the file decides: only the end of a regular file is sure to come.
Input with_kind(Input input, int file) {
    struct stat status{};
    if (::fstat(file, &status) != 0) cannot_read(input.name, errno);
    if (S_ISDIR(status.st_mode)) cannot_read(input.name, EISDIR);
    input.is_finite = S_ISREG(status.st_mode);
    if (::isatty(file) == 1) {
        input.text = read_to_end(file, input.name);
        input.is_whole = input.is_finite = true;
    }
    return input;
}

}  // namespace

Input open_input(const std::string& path) {
    if (path == "-") return with_kind({.name = "standard input"}, STDIN_FILENO);
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file) cannot_read(path, errno);
    const int number = file.get();
    return with_kind({.name = path, .file = std::move(file)}, number);
}

Input input_of_text(std::string name, std::string text) {
    return {.name = std::move(name), .text = std::move(text), .is_whole = true};
}

ItemReader::ItemReader(Input input, ItemEnd end, const char* kind, FindFault find_fault)
    : input_(std::move(input)), end_(end), kind_(kind), find_fault_(find_fault) {}

Coro<std::optional<std::string>> ItemReader::next() {
    for (;;) {
        if (!is_checked_ && !input_.text.empty()) check_first_bytes();
        const std::string& text = input_.text;
        const std::size_t end = text.find(static_cast<char>(end_), searched_);
        if (end != std::string::npos) co_return take(end, end + 1);
        searched_ = text.size();
        if (searched_ - begin_ > longest_item_bytes) {
            ++number_;
            refuse("cannot be longer than 1 MiB");
        }
        if (input_.is_whole) {
            if (begin_ == text.size()) co_return std::nullopt;
            co_return take(text.size(), text.size());
        }
        co_await read_more();
    }
}

/// Reads one more piece. The taken items are erased first, so the text holds at most one item and
/// one piece.
Coro<> ItemReader::read_more() {
    input_.text.erase(0, begin_);
    searched_ -= begin_;
    begin_ = 0;
    try {
        if (!reader_) {
            const bool is_ours = static_cast<bool>(input_.file);
            reader_ =
                asyncio::connect_read_pipe(is_ours ? std::move(input_.file) : Fd(STDIN_FILENO),
                                           {.name = input_.name, .shared = !is_ours});
        }
        const std::string piece = co_await reader_.read(chunk_bytes);
        input_.is_whole = piece.empty();
        input_.text += piece;
    } catch (const asyncio::OsError& error) {
        cannot_read(input_.name, error.error());
    }
}

void ItemReader::check_first_bytes() {
    is_checked_ = true;
    if (end_ == ItemEnd::line) check_first_bytes_for_zeros();
    if (find_fault_ != nullptr) check_first_items();
}

/// Checks the items whose ends have arrived. `number_` counts them for an error message and is set
/// back, because `take` counts them again.
void ItemReader::check_first_items() {
    std::string_view text = input_.text;
    for (std::size_t end = 0; (end = text.find(static_cast<char>(end_))) != text.npos;) {
        ++number_;
        check(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    number_ = 0;
}

void ItemReader::check(std::string_view item) const {
    if (find_fault_ == nullptr) return;
    if (const char* fault = find_fault_(item)) refuse(fault);
}

/// A NUL byte means a binary file, or UTF-16, which editors of other systems write. The message
/// names UTF-16, because a user does not see the NUL bytes.
void ItemReader::check_first_bytes_for_zeros() {
    const std::string_view text = input_.text;
    const std::size_t zero = text.find('\0');
    if (zero == std::string_view::npos) return;
    for (const std::string_view mark : utf16_marks) {
        if (text.starts_with(mark)) {
            throw InputError(
                fmt::format("{}: this is UTF-16; {}s are read as UTF-8", input_.name, kind_));
        }
    }
    number_ = 1 + static_cast<std::size_t>(std::ranges::count(text.substr(0, zero), '\n'));
    refuse("cannot hold a NUL byte");
}

/// Returns the item that ends at `end`, and moves on to the next one.
std::string ItemReader::take(std::size_t end, std::size_t next_begin) {
    std::string item = input_.text.substr(begin_, end - begin_);
    begin_ = searched_ = next_begin;
    ++number_;
    if (item.size() > longest_item_bytes) refuse("cannot be longer than 1 MiB");
    check(item);
    if (end_ == ItemEnd::nul) return item;
    if (item.find('\0') != std::string::npos) refuse("cannot hold a NUL byte");
    if (item.ends_with('\r')) item.pop_back();
    if (number_ == 1 && item.starts_with(utf8_mark)) item.erase(0, utf8_mark.size());
    return item;
}

void ItemReader::refuse(const char* what) const {
    const char* unit = end_ == ItemEnd::line ? "line" : "item";
    throw InputError(fmt::format("{}, {} {}: a {} {}", input_.name, unit, number_, kind_, what));
}

}  // namespace tool::batch
