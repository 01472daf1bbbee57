// Whether the rows of the SQLite catalog contradict each other.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_CHECK_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_CHECK_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "server/store/catalog.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

// As Catalog::Check, inside the caller's transaction. What cannot be read is a
// finding; an error is what keeps it from looking.
absl::StatusOr<CatalogCheck> CheckRows(
    SqliteDb& db, absl::FunctionRef<void(std::string)> finding);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_CHECK_H_
