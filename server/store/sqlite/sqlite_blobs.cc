#include "server/store/sqlite/sqlite_blobs.h"

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/errors.h"

namespace warmstart::store {
namespace {

// Whether the blob was new. `pack` is a row id; nullopt for a small blob.
absl::StatusOr<bool> AddBlob(SqliteDb& db, const Blob& blob,
                             std::optional<int64_t> pack, int64_t offset) {
  RETURN_IF_ERROR(
      db.Run("INSERT INTO blobs (digest, num_bytes, crc32, pack, offset) "
             "VALUES (?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING",
             blob.digest, blob.num_bytes, blob.crc32, pack, offset));
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
    ASSIGN_OR_RETURN(const bool is_new,
                     AddBlob(db, placed.blob, row, placed.offset));
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

absl::StatusOr<std::string> ReadSmallBlob(SqliteDb& db, const Digest& digest) {
  SqliteQuery query = db.Query(
      "SELECT b.num_bytes, s.bytes FROM blobs b "
      "LEFT JOIN small_blobs s ON s.blob = b.id WHERE b.digest = ?",
      digest);
  const bool found = query.Next();
  RETURN_IF_ERROR(query.status());
  if (!found) return BlobNotFound(digest);
  std::string bytes = query.String(1);
  if (static_cast<int64_t>(bytes.size()) == query.Int(0)) return bytes;
  return absl::DataLossError(absl::StrCat("the catalog has ", bytes.size(),
                                          " bytes of a tensor of ",
                                          query.Int(0)));
}

absl::Status AddSmallBlobs(SqliteDb& db, absl::Span<const SmallBlob> blobs,
                           const absl::flat_hash_set<Digest>& needed) {
  for (const SmallBlob& small : blobs) {
    if (!needed.contains(small.blob.digest)) continue;
    ASSIGN_OR_RETURN(const bool is_new,
                     AddBlob(db, small.blob, std::nullopt, 0));
    if (!is_new) continue;
    RETURN_IF_ERROR(
        db.Run("INSERT INTO small_blobs (blob, bytes) VALUES (?, ?)",
               db.last_insert_id(), SqliteBytes{small.bytes}));
  }
  return absl::OkStatus();
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
  SqliteQuery update = db.Query(
      "UPDATE blobs SET num_references = num_references + 1 "
      "WHERE id BETWEEN ? AND ?");
  // Blobs that came together have consecutive ids, and most checkpoints
  // reference all of them.
  for (size_t first = 0; first < blobs.size();) {
    size_t end = first + 1;
    while (end < blobs.size() && blobs[end] == blobs[end - 1] + 1) ++end;
    RETURN_IF_ERROR(update.Run(blobs[first], blobs[end - 1]));
    first = end;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PackId>> DropReferences(
    SqliteDb& db, absl::Span<const int64_t> blobs) {
  absl::flat_hash_set<int64_t> touched;
  SqliteQuery update = db.Query(
      "UPDATE blobs SET num_references = num_references - 1 WHERE id = ?");
  // The empty blob stays. The bytes of a small one go with its row.
  SqliteQuery remove = db.Query(
      "DELETE FROM blobs WHERE id = ? AND num_bytes > 0 "
      "AND num_references = 0 RETURNING pack");
  for (const int64_t blob : blobs) {
    RETURN_IF_ERROR(update.Run(blob));
    remove.Restart(blob);
    while (remove.Next()) {
      if (!remove.IsNull(0)) touched.insert(remove.Int(0));
    }
    RETURN_IF_ERROR(remove.status());
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
