// Many rows for one table, several in each statement: what SQLite does to begin
// and end a statement is most of the work that a short row is.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_ROWS_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_ROWS_H_

#include <cstddef>
#include <initializer_list>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

// The text of an INSERT. Outlives the connections that run it, as all SQL does
// that they keep prepared.
class SqliteRows {
 public:
  // Rows in a statement.
  static constexpr size_t kAtOnce = 16;

  SqliteRows(absl::string_view table,
             std::initializer_list<absl::string_view> columns);

  // Inserts `count` rows, in this order; `bind` gives the query the values of
  // one, all columns in their order, by BindNext.
  absl::Status Insert(
      SqliteDb& db, size_t count,
      absl::FunctionRef<void(SqliteQuery& query, size_t row)> bind) const;

 private:
  std::string one_;
  std::string several_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_ROWS_H_
