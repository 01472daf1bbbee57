// Manifests as rows of the SQLite catalog. All functions run inside the
// caller's transaction.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_MANIFEST_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_MANIFEST_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/manifest.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/sqlite/sqlite_known_blobs.h"

namespace warmstart::store {

// What a manifest names, found in the catalog.
struct ManifestBlobs {
  std::vector<int64_t> entries;   // the row id of each entry's blob
  std::vector<int64_t> storages;  // and of each storage's
  int64_t num_bytes = 0;          // of the entries' blobs, each counted once

  // The row ids of both, each once, ascending.
  std::vector<int64_t> Distinct() const;
};

// ABORTED where a blob is not there; DATA_LOSS where it is in quarantine;
// INVALID_ARGUMENT where one has another
// size than the manifest says, or where a view does not fit the manifest's
// storages.
absl::StatusOr<ManifestBlobs> ResolveBlobs(SqliteDb& db,
                                           const Manifest& manifest,
                                           SqliteKnownBlobs& known);

// All of `manifest` but its metadata_json, for the checkpoint with that row id.
absl::Status InsertManifest(SqliteDb& db, int64_t checkpoint,
                            const Manifest& manifest,
                            const ManifestBlobs& blobs);

// DATA_LOSS where rows make no sense.
absl::StatusOr<Manifest> ReadManifest(SqliteDb& db, int64_t checkpoint);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_MANIFEST_H_
