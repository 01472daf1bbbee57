#include "client/cli/table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace warmstart::client {
namespace {

constexpr absl::string_view kGap = "  ";

std::string Padding(absl::string_view text, size_t width) {
  return std::string(width - DisplayWidth(text), ' ');
}

std::string Aligned(absl::string_view text, Color color, bool right_aligned,
                    size_t width, bool colored) {
  const std::string painted = Paint(color, text, colored);
  return right_aligned ? Padding(text, width) + painted
                       : painted + Padding(text, width);
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::AddRow(std::vector<Cell> row) {
  for (Cell& cell : row) cell.text = Printable(cell.text);
  rows_.push_back(std::move(row));
}

// 0 for a column that is left out.
std::vector<size_t> Table::Widths(size_t row_count) const {
  std::vector<size_t> widths(columns_.size(), 0);
  for (size_t row = 0; row < row_count; ++row) {
    for (size_t i = 0; i < columns_.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayWidth(rows_[row][i].text));
    }
  }
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (widths[i] > 0) {
      widths[i] = std::max(widths[i], DisplayWidth(columns_[i].header));
    }
  }
  return widths;
}

std::string Table::Render(const TableStyle& style) const {
  const size_t row_count = std::min(rows_.size(), style.max_rows);
  const std::vector<size_t> widths = Widths(row_count);
  std::string result;
  const auto add_line = [&](auto&& cell_of) {
    std::string line;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (widths[i] == 0) continue;
      const auto& [text, color] = cell_of(i);
      absl::StrAppend(&line, line.empty() ? "" : kGap,
                      Aligned(text, color, columns_[i].right_aligned, widths[i],
                              style.color));
    }
    absl::StrAppend(&result, absl::StripTrailingAsciiWhitespace(line), "\n");
  };
  add_line([&](size_t i) {
    return std::pair<absl::string_view, Color>(columns_[i].header, Color::kDim);
  });
  for (size_t row = 0; row < row_count; ++row) {
    add_line([&](size_t i) {
      const Cell& cell = rows_[row][i];
      return std::pair<absl::string_view, Color>(cell.text, cell.color);
    });
  }
  if (row_count < rows_.size()) {
    absl::StrAppend(&result, MoreLine(rows_.size() - row_count));
  }
  return result;
}

}  // namespace warmstart::client
