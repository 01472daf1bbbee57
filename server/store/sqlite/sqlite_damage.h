// Quarantine in the SQLite catalog. All functions run inside the caller's
// transaction, and are as the Catalog's methods of nearly these names.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_DAMAGE_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_DAMAGE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/store/care.h"
#include "server/store/catalog.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

absl::StatusOr<int64_t> MarkDamagedRows(SqliteDb& db,
                                        absl::Span<const BlobLocation> blobs,
                                        absl::Time damage_time);

absl::StatusOr<int64_t> MarkIntactRows(SqliteDb& db,
                                       absl::Span<const BlobLocation> blobs);

absl::StatusOr<Damage> ReadDamage(SqliteDb& db, const DamageLimits& limits);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_DAMAGE_H_
