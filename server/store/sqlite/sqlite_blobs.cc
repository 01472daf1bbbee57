#include "server/store/sqlite/sqlite_blobs.h"

#include "server/base/status_macros.h"

namespace warmstart::store {
namespace {

// Whether the blob was new.
absl::StatusOr<bool> AddBlob(SqliteDb& db, int64_t pack,
                             const PlacedBlob& placed) {
  RETURN_IF_ERROR(
      db.Run("INSERT INTO blobs (digest, num_bytes, crc32, pack, offset) "
             "VALUES (?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING",
             placed.blob.digest, placed.blob.num_bytes, placed.blob.crc32, pack,
             placed.offset));
  return db.num_changes() > 0;
}

// Whether the catalog has a use for the pack; if not, it is as if it had not
// been added.
absl::StatusOr<bool> AddPack(SqliteDb& db, const NewPack& pack,
                             const absl::flat_hash_set<Digest>& needed) {
  RETURN_IF_ERROR(db.Run("INSERT INTO packs (name, num_bytes) VALUES (?, ?)",
                         pack.id, pack.num_bytes));
  const int64_t row = db.last_insert_id();
  bool used = false;
  for (const PlacedBlob& placed : pack.blobs) {
    if (!needed.contains(placed.blob.digest)) continue;
    ASSIGN_OR_RETURN(const bool is_new, AddBlob(db, row, placed));
    used = used || is_new;
  }
  if (!used) RETURN_IF_ERROR(db.Run("DELETE FROM packs WHERE id = ?", row));
  return used;
}

}  // namespace

absl::StatusOr<std::optional<BlobLocation>> FindBlob(SqliteDb& db,
                                                     const Digest& digest) {
  SqliteQuery query = db.Query(
      "SELECT b.num_bytes, b.crc32, p.name, b.offset "
      "FROM blobs b LEFT JOIN packs p ON p.id = b.pack WHERE b.digest = ?",
      digest);
  std::optional<BlobLocation> location;
  if (query.Next()) {
    location =
        BlobLocation{.blob = {.digest = digest,
                              .num_bytes = query.Int(0),
                              .crc32 = static_cast<uint32_t>(query.Int(1))},
                     .pack = query.String(2),
                     .offset = query.Int(3)};
  }
  RETURN_IF_ERROR(query.status());
  return location;
}

absl::StatusOr<std::vector<PackId>> AddPacks(
    SqliteDb& db, absl::Span<const NewPack> packs,
    const absl::flat_hash_set<Digest>& needed) {
  std::vector<PackId> unused;
  for (const NewPack& pack : packs) {
    ASSIGN_OR_RETURN(const bool used, AddPack(db, pack, needed));
    if (!used) unused.push_back(pack.id);
  }
  return unused;
}

absl::StatusOr<std::vector<int64_t>> ReferencedBlobs(SqliteDb& db,
                                                     int64_t checkpoint) {
  SqliteQuery query = db.Query(
      "SELECT blob FROM entries WHERE checkpoint = ?1 UNION "
      "SELECT blob FROM storages WHERE checkpoint = ?1",
      checkpoint);
  std::vector<int64_t> blobs;
  while (query.Next()) blobs.push_back(query.Int(0));
  RETURN_IF_ERROR(query.status());
  return blobs;
}

absl::Status AddReferences(SqliteDb& db, absl::Span<const int64_t> blobs) {
  for (const int64_t blob : blobs) {
    RETURN_IF_ERROR(
        db.Run("UPDATE blobs SET num_references = num_references + 1 "
               "WHERE id = ?",
               blob));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PackId>> DropReferences(
    SqliteDb& db, absl::Span<const int64_t> blobs) {
  absl::flat_hash_set<int64_t> touched;
  for (const int64_t blob : blobs) {
    RETURN_IF_ERROR(
        db.Run("UPDATE blobs SET num_references = num_references - 1 "
               "WHERE id = ?",
               blob));
    // The empty blob has no pack, and stays.
    ASSIGN_OR_RETURN(
        const std::optional<int64_t> pack,
        db.FindInt("DELETE FROM blobs WHERE id = ? AND pack IS NOT NULL "
                   "AND num_references = 0 RETURNING pack",
                   blob));
    if (pack.has_value()) touched.insert(*pack);
  }
  std::vector<PackId> removed;
  for (const int64_t pack : touched) {
    SqliteQuery query = db.Query(
        "DELETE FROM packs WHERE id = ?1 "
        "AND NOT EXISTS (SELECT 1 FROM blobs WHERE pack = ?1) RETURNING name",
        pack);
    if (query.Next()) removed.push_back(query.String(0));
    RETURN_IF_ERROR(query.status());
  }
  return removed;
}

}  // namespace warmstart::store
