#pragma once
// Where commands and values are read from: a file, a FIFO, a pipe or a terminal, item by item, as
// they come.
//
// An item is a line, or with `-0` what stands before a NUL byte.
//
//   lines   end with LF or CR LF, the last one also with the end of the file. A byte order mark
//           before the first is no part of it. A NUL byte is an error.
//   -0      items are taken byte for byte. The last one need not be ended.
//
// An item of more than a mebibyte is an error, too: a program's argument holds an eighth of that,
// and input without any line end would fill the memory. Errors name the file and the line.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace batch {

/// Nothing (more) can be read. The text says why.
class InputError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline constexpr std::size_t longest_item_bytes = 1024 * 1024;

/// A file that is open for reading.
struct Input {
    /// What errors call it.
    std::string name;
    /// None for standard input.
    asyncio::lowlevel::Fd file = {};
    /// What has been read of it already.
    std::string text = {};
    /// There is nothing behind `text`.
    bool is_whole = false;
    /// Its end is sure to come, and soon: what is left can be counted.
    bool is_finite = true;
};

/// Opens the file of that name; "-" is standard input. A FIFO is waited for until somebody opens
/// it for writing. A terminal is read to its end here, because the process that does the work is in
/// the background, where reading from a terminal is not allowed.
/// Throws: InputError if it cannot be opened, or is a directory.
Input open_input(const std::string& path);

/// For tests, and for a text that is there already.
Input input_of_text(std::string name, std::string text);

enum class ItemEnd : char { line = '\n', nul = '\0' };

/// Says why an item cannot be meant; nullptr if nothing is wrong with it.
using FindFault = const char* (*)(std::string_view item);

class ItemReader {
public:
    /// `kind` is what errors call an item's content: "command", "value".
    ItemReader(Input input, ItemEnd end, const char* kind, FindFault find_fault = nullptr);

    /// The next item; nothing at the end.
    ///
    /// What arrives first is looked through for NUL bytes and for faults before anything of it is
    /// returned: a file of another kind, given by mistake, is not to be run up to the first one.
    /// Throws: InputError.
    asyncio::Coro<std::optional<std::string>> next();

    bool is_finite() const noexcept { return input_.is_finite; }

private:
    asyncio::Coro<> read_more();
    void check_first_bytes();
    void check_first_bytes_for_zeros();
    void check_first_items();
    void check(std::string_view item) const;
    std::string take(std::size_t end, std::size_t next_begin);
    [[noreturn]] void refuse(const char* what) const;

    Input input_;
    ItemEnd end_;
    const char* kind_;
    FindFault find_fault_;
    asyncio::StreamReader reader_;
    /// `input_.text` from here on has not been taken.
    std::size_t begin_ = 0;
    /// Up to here, no end of an item is in it.
    std::size_t searched_ = 0;
    std::size_t number_ = 0;
    bool is_checked_ = false;
};

}  // namespace batch
