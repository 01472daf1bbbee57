// Table: rows of text in aligned columns.

#ifndef WARMSTART_CLIENT_CLI_TABLE_H_
#define WARMSTART_CLIENT_CLI_TABLE_H_

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/cli/text.h"

namespace warmstart::client {

// How tables are drawn. The default is that of a pipe: plain, with every row.
struct TableStyle {
  bool color = false;
  size_t max_rows = std::numeric_limits<size_t>::max();
};

class Table {
 public:
  struct Column {
    absl::string_view header;
    bool right_aligned = false;
  };
  struct Cell {
    std::string text;
    Color color = Color::kPlain;
  };

  explicit Table(std::vector<Column> columns);

  // A row has a cell for each column. Text is made printable.
  void AddRow(std::vector<Cell> row);

  bool empty() const { return rows_.empty(); }

  // The header and the rows, each on a line. Columns that no row has anything
  // in are left out. Where there are more rows than the style allows, a line
  // says how many.
  std::string Render(const TableStyle& style) const;

 private:
  std::vector<size_t> Widths(size_t row_count) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_TABLE_H_
