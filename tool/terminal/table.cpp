// The layout of a table. Widths are counted in columns of the terminal and not in bytes (`text.h`).
//
// The texts that can be cut are cut first. After that every column has a width, and the rows are
// drawn one after another.

#include "terminal/table.h"

#include <algorithm>
#include <utility>

namespace tool {
namespace {

/// The blanks between two columns.
constexpr std::size_t column_gap = 2;

/// The width that each column needs for its texts.
std::vector<std::size_t> widths_of(std::span<const TableColumn> columns,
                                   const std::vector<TableRow>& rows, Charset charset) {
    std::vector<std::size_t> widths;
    for (std::size_t index = 0; index < columns.size(); ++index) {
        std::size_t width = columns[index].least_width;
        for (const TableRow& row : rows) {
            width = std::max(width, tool::columns(row[index], charset));
        }
        widths.push_back(width);
    }
    return widths;
}

/// How wide the text of column `cut` may be, when every other column has the width that it needs.
std::size_t room_for(std::size_t cut, std::span<const std::size_t> widths, std::size_t width) {
    std::size_t others = 0;
    for (std::size_t index = 0; index < widths.size(); ++index) {
        if (index != cut) others += widths[index] + column_gap;
    }
    return width > others ? width - others : 0;
}

/// Shortens the texts of the column that can be cut, so that the table fits `width`.
void cut(std::span<const TableColumn> columns, std::vector<TableRow>& rows, std::size_t width,
         Charset charset) {
    const auto column = std::ranges::find_if(
        columns, [](const TableColumn& each) { return each.can_be_cut_to.has_value(); });
    if (column == columns.end()) return;
    const auto index = static_cast<std::size_t>(column - columns.begin());
    const std::size_t room = room_for(index, widths_of(columns, rows, charset), width);
    const std::size_t limit = std::max(column->can_be_cut_to.value_or(0), room);
    for (TableRow& row : rows) row[index] = shortened(row[index], limit, charset);
}

std::string draw_cell(const TableColumn& column, std::string text, std::size_t width,
                      Charset charset) {
    const std::size_t used = columns(text, charset);
    if (column.align == TableColumn::Align::left) return padded(std::move(text), width, charset);
    return std::string(width - std::min(used, width), ' ') + text;
}

std::string draw_row(std::span<const TableColumn> columns, const TableRow& row,
                     std::span<const std::size_t> widths, Charset charset) {
    std::string line;
    for (std::size_t index = 0; index < columns.size(); ++index) {
        if (index > 0) line.append(column_gap, ' ');
        line += draw_cell(columns[index], row[index], widths[index], charset);
    }
    return line + "\n";
}

}  // namespace

std::string draw_table(std::span<const TableColumn> columns, std::vector<TableRow> rows,
                       std::size_t width, Charset charset) {
    TableRow titles;
    for (const TableColumn& column : columns) titles.push_back(column.title);
    rows.insert(rows.begin(), std::move(titles));
    cut(columns, rows, width, charset);
    const std::vector<std::size_t> widths = widths_of(columns, rows, charset);
    std::string text;
    for (const TableRow& row : rows) text += draw_row(columns, row, widths, charset);
    return text;
}

}  // namespace tool
