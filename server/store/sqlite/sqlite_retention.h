// Which checkpoints of the SQLite catalog are to go. All functions run inside
// the caller's transaction.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_RETENTION_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_RETENTION_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/store/policy/retention.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

// As Catalog::FindRetired. Costs what is kept by rules, and the few that
// something protects; not what is there.
absl::StatusOr<std::vector<RetiredCheckpoint>> FindRetiredRows(
    SqliteDb& db, const RetentionPolicy& policy, int limit);

// Whether the checkpoint with that row id is to go; nullopt where it is not.
absl::StatusOr<std::optional<RetiredCheckpoint>> CheckRetired(
    SqliteDb& db, int64_t checkpoint, const RetentionPolicy& policy);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_RETENTION_H_
