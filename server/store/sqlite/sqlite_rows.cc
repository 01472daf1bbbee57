#include "server/store/sqlite/sqlite_rows.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"

namespace warmstart::store {

SqliteRows::SqliteRows(absl::string_view table,
                       std::initializer_list<absl::string_view> columns) {
  const std::vector<absl::string_view> values(columns.size(), "?");
  const std::string row = absl::StrCat("(", absl::StrJoin(values, ", "), ")");
  const std::vector<absl::string_view> rows(kAtOnce, row);
  const std::string insert = absl::StrCat(
      "INSERT INTO ", table, " (", absl::StrJoin(columns, ", "), ") VALUES ");
  one_ = absl::StrCat(insert, row);
  several_ = absl::StrCat(insert, absl::StrJoin(rows, ", "));
}

absl::Status SqliteRows::Insert(
    SqliteDb& db, size_t count,
    absl::FunctionRef<void(SqliteQuery& query, size_t row)> bind) const {
  const auto insert = [&](absl::string_view sql, size_t begin, size_t end,
                          size_t step) -> absl::Status {
    if (begin == end) return absl::OkStatus();
    SqliteQuery query = db.Query(sql);
    for (size_t row = begin; row < end; row += step) {
      query.Restart();
      for (size_t i = 0; i < step; ++i) bind(query, row + i);
      RETURN_IF_ERROR(query.Finish());
    }
    return absl::OkStatus();
  };
  const size_t rest = count - count % kAtOnce;
  RETURN_IF_ERROR(insert(several_, 0, rest, kAtOnce));
  return insert(one_, rest, count, 1);
}

}  // namespace warmstart::store
