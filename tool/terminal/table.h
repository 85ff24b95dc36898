#pragma once
// Draws a table of texts for a terminal:
//
//   Command                Status    Seconds
//   sleep 1 && echo hello  complete     1.00
//   sleep 500              timeout      2.00
//
// The table does not know what its texts mean. Every column is as wide as its widest text. One
// column may be cut, so that the table fits the terminal.

#include "terminal/text.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tool {

struct TableColumn {
    enum class Align : std::uint8_t { left, right };

    std::string title;
    Align align = Align::left;
    /// The column is at least this wide, also if its texts are not.
    std::size_t least_width = 0;
    /// If the table is too wide, the texts of this column are shortened to this width at most. Only
    /// one column may have a value.
    std::optional<std::size_t> can_be_cut_to = {};
};

/// A text for each column.
using TableRow = std::vector<std::string>;

/// The titles and the rows, each ended by a newline. No line is wider than `width` columns, unless
/// even the shortened texts do not fit. The texts of the column that can be cut may
/// hold any bytes; the other texts are shown as they are.
std::string draw_table(std::span<const TableColumn> columns, std::vector<TableRow> rows,
                       std::size_t width, Charset charset);

}  // namespace tool
