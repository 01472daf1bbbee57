// The part of the SQLite catalog that knows where each blob lies. All
// functions run inside the caller's transaction.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_BLOBS_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_BLOBS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/digest.h"
#include "server/store/catalog.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

absl::StatusOr<std::optional<BlobLocation>> FindBlob(SqliteDb& db,
                                                     const Digest& digest);

// As Catalog::ReadBlob.
absl::StatusOr<std::string> ReadSmallBlob(SqliteDb& db, const Digest& digest);

// Row ids of packs.
using PackRows = absl::flat_hash_set<int64_t>;

// Records those of `blobs` that are `needed` and not known yet, or damaged
// where they are, with their bytes. Adds to `left` the packs that the latter
// lay in.
absl::Status AddSmallBlobs(SqliteDb& db, absl::Span<const SmallBlob> blobs,
                           const absl::flat_hash_set<Digest>& needed,
                           PackRows& left);

// Records those blobs of `packs` that are `needed` and not known yet, or
// damaged where they are, and returns the packs of which none was.
absl::StatusOr<std::vector<PackId>> AddPacks(
    SqliteDb& db, absl::Span<const NewPack> packs,
    const absl::flat_hash_set<Digest>& needed, PackRows& left);

// Removes those of `packs` that no blob lies in any more, and returns them.
absl::StatusOr<std::vector<PackId>> RemoveEmptyPacks(SqliteDb& db,
                                                     const PackRows& packs);

// As Catalog::CountBlobs.
absl::StatusOr<BlobTotals> CountBlobRows(SqliteDb& db);
// As Catalog::NextBlobs.
absl::StatusOr<std::vector<BlobLocation>> NextBlobRows(SqliteDb& db,
                                                       BlobCursor& cursor,
                                                       int limit);

// The row ids of the blobs that a checkpoint references.
absl::StatusOr<std::vector<int64_t>> ReferencedBlobs(SqliteDb& db,
                                                     int64_t checkpoint);

// Counts one more checkpoint that references each of `blobs` (row ids, each
// once, ascending).
absl::Status AddReferences(SqliteDb& db, absl::Span<const int64_t> blobs);

// Counts one less for each of `blobs`, and removes those that no checkpoint
// references any more, then the packs that they leave empty. Returns the
// latter.
absl::StatusOr<std::vector<PackId>> DropReferences(
    SqliteDb& db, absl::Span<const int64_t> blobs);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_BLOBS_H_
