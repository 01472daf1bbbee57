// The rows of the SQLite catalog that describe checkpoints, and how they are
// listed. All functions run inside the caller's transaction.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_CHECKPOINTS_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_CHECKPOINTS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/model/resource_name.h"
#include "server/store/catalog.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

// The row id of a checkpoint, which is its sequence; NOT_FOUND where there is
// none.
absl::StatusOr<int64_t> FindCheckpoint(SqliteDb& db,
                                       const CheckpointName& name);

// The rows of a checkpoint, but for its manifest. Returns the row id.
absl::StatusOr<int64_t> InsertCheckpoint(SqliteDb& db,
                                         const CheckpointName& name,
                                         absl::Time create_time,
                                         int64_t num_bytes,
                                         const NewCheckpoint& checkpoint);

absl::StatusOr<Checkpoint> ReadCheckpoint(SqliteDb& db, int64_t sequence);
absl::StatusOr<CheckpointName> ReadCheckpointName(SqliteDb& db,
                                                  int64_t sequence);

absl::Status InsertLabels(SqliteDb& db, int64_t sequence, const Labels& labels);
absl::StatusOr<Labels> ReadLabels(SqliteDb& db, int64_t sequence);

// Changes what a CheckpointUpdate names.
absl::Status UpdateCheckpointRow(SqliteDb& db, int64_t sequence,
                                 const CheckpointUpdate& update,
                                 absl::Time now);

absl::Status PutAlias(SqliteDb& db, const AliasName& alias, int64_t sequence,
                      absl::Time update_time);
absl::StatusOr<std::vector<AliasName>> ReadAliases(SqliteDb& db,
                                                   int64_t sequence);

// The row ids of the newest `limit` checkpoints below `before`, newest first,
// however long it takes to find them.
absl::StatusOr<std::vector<int64_t>> ListSequences(
    SqliteDb& db, const CheckpointFilter& filter, int64_t before, int limit);
// As Catalog::ListCheckpoints.
absl::StatusOr<ListedCheckpoints> ListCheckpointRows(
    SqliteDb& db, const CheckpointFilter& filter, int64_t before, int limit);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_CHECKPOINTS_H_
