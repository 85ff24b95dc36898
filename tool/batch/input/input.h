#pragma once
// Reads commands and values from a file, a FIFO, a pipe or a terminal, item by item, as they come.
//
// An item is a line, or with `-0` the bytes before a NUL byte.
//
//   lines   end with LF or CR LF; the end of the file ends the last line as well. A byte order mark
//           before the first line is skipped. A NUL byte is an error.
//   -0      items are taken byte for byte. The last item need not end with a NUL byte.
//
// An item of more than a mebibyte is an error as well: an argument of a program can hold an eighth
// of that, and input without any line end would fill the memory. Errors name the file and the line.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tool::batch {

/// The input cannot be read, or cannot be read any further. The text says why.
class InputError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline constexpr std::size_t longest_item_bytes = 1024 * 1024;

/// A file that is open for reading.
struct Input {
    /// The name in error messages.
    std::string name;
    /// Empty for standard input.
    asyncio::lowlevel::Fd file = {};
    /// The bytes that were read and not thrown away yet.
    std::string text = {};
    /// The file has no bytes behind `text`.
    bool is_whole = false;
    /// The end is sure to come soon, so the remaining items can be counted.
    bool is_finite = true;
};

/// Opens the file of that name; "-" is standard input. For a FIFO the call blocks until another
/// process opens it for writing. A terminal is read to its end here, because the worker runs in the
/// background, where the kernel does not allow a process to read from the terminal.
/// Throws: InputError if the file cannot be opened, or is a directory.
Input open_input(const std::string& path);

/// An input that is a text in memory. For tests.
Input input_of_text(std::string name, std::string text);

enum class ItemEnd : char { line = '\n', nul = '\0' };

/// Returns the fault of an item, for an error message; nullptr if it has none.
using FindFault = const char* (*)(std::string_view item);

class ItemReader {
public:
    /// `kind` is the word for an item in error messages: "command", "value".
    ItemReader(Input input, ItemEnd end, const char* kind, FindFault find_fault = nullptr);

    /// The next item; nothing at the end.
    ///
    /// The first bytes are checked for NUL bytes and for faults before any item of them is
    /// returned. A user may name a file of another kind by mistake, and a batch must not run half
    /// of it.
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
    /// Where the next item begins in `input_.text`.
    std::size_t begin_ = 0;
    /// The text from `begin_` to here has no end of an item. So a long item that arrives in many
    /// pieces is searched only once.
    std::size_t searched_ = 0;
    /// The number of the last item, for error messages.
    std::size_t number_ = 0;
    bool is_checked_ = false;
};

}  // namespace tool::batch
