// The catalog's tables in SQLite, and how older ones become today's.
// docs/catalog.md explains them.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_SCHEMA_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_SCHEMA_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

// "WARM": what PRAGMA application_id of our files says. Never change it.
inline constexpr int64_t kSqliteApplicationId = 0x5741524D;

// Migration i makes version i + 1 of version i; version 0 is the empty file.
// Only append: files in the world have been made by those that are here.
absl::Span<const char* const> SqliteMigrations();

// Makes `db` the newest version, each step in a transaction of its own, and
// turns the write-ahead log on. FAILED_PRECONDITION where the file is another
// application's or of a version that is not known here, and DATA_LOSS where it
// is corrupt; it is not touched then.
absl::Status MigrateSqliteSchema(
    SqliteDb& db,
    absl::Span<const char* const> migrations = SqliteMigrations());

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_SCHEMA_H_
