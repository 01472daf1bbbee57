// The part of the SQLite catalog that knows what is in each pack, for those who
// rewrite them. All functions run inside the caller's transaction.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_PACKS_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_PACKS_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/store/catalog.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

// As Catalog's methods of these names.
absl::StatusOr<std::vector<PackUsage>> ReadPackUsage(SqliteDb& db);
absl::StatusOr<std::vector<PlacedBlob>> ReadBlobsIn(SqliteDb& db,
                                                    const PackId& pack);
absl::StatusOr<std::vector<PackId>> MoveBlobRows(SqliteDb& db,
                                                 const NewPack& to,
                                                 absl::Span<const PackId> from);
absl::StatusOr<CatalogSpace> ReadSpace(SqliteDb& db);

// Writes a page that says what it said before.
absl::Status WriteSomething(SqliteDb& db);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_PACKS_H_
