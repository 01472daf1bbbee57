// SqliteCatalog: the catalog in one SQLite file, in WAL mode. One connection
// writes, one transaction at a time; several read, and never wait for it.
// docs/catalog.md describes the tables.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_CATALOG_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_CATALOG_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/model/resource_name.h"
#include "server/store/catalog.h"
#include "server/store/policy/quota.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/sqlite/sqlite_known_blobs.h"

namespace warmstart::store {

// Makes the file where it does not exist, and migrates an older one. The errors
// are those of Store::Open.
absl::StatusOr<std::unique_ptr<Catalog>> OpenSqliteCatalog(
    const std::string& path, const StoreLimits& limits = {});

// What Commit does, inside the caller's transaction. For who makes a catalog of
// so many checkpoints that each cannot have a transaction of its own.
absl::StatusOr<CommitResult> CommitRows(SqliteDb& db,
                                        const CheckpointName& name,
                                        absl::Time create_time,
                                        const NewCheckpoint& checkpoint,
                                        const NewBlobs& new_blobs,
                                        SqliteKnownBlobs& known);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_CATALOG_H_
