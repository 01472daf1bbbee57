#include "server/store/sqlite/sqlite_blobs.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"
#include "server/store/errors.h"

namespace warmstart::store {
namespace {

// Moves the blob where it is damaged, and returns its row id; nullopt for one
// that is not known to be damaged.
absl::StatusOr<std::optional<int64_t>> MoveDamagedBlob(
    SqliteDb& db, const Digest& digest, std::optional<int64_t> pack,
    int64_t offset, PackRows& left) {
  SqliteQuery damaged = db.Query(
      "SELECT id, pack FROM blobs "
      "WHERE digest = ? AND damage_time IS NOT NULL",
      digest);
  if (!damaged.Next()) {
    RETURN_IF_ERROR(damaged.status());
    return std::nullopt;
  }
  const int64_t row = damaged.Int(0);
  if (!damaged.IsNull(1)) left.insert(damaged.Int(1));
  RETURN_IF_ERROR(damaged.Finish());
  RETURN_IF_ERROR(db.Run("DELETE FROM small_blobs WHERE blob = ?", row));
  RETURN_IF_ERROR(
      db.Run("UPDATE blobs SET pack = ?, offset = ?, damage_time = NULL "
             "WHERE id = ?",
             pack, offset, row));
  return row;
}

// The row id of the blob where it is to lie at `offset` of `pack` (a row id;
// nullopt for a small blob) from now on; nullopt where it stays where it is.
absl::StatusOr<std::optional<int64_t>> AddBlob(SqliteDb& db, const Blob& blob,
                                               std::optional<int64_t> pack,
                                               int64_t offset, PackRows& left) {
  RETURN_IF_ERROR(
      db.Run("INSERT INTO blobs (digest, num_bytes, crc32, pack, offset) "
             "VALUES (?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING",
             blob.digest, blob.num_bytes, blob.crc32, pack, offset));
  if (db.num_changes() > 0) return db.last_insert_id();
  return MoveDamagedBlob(db, blob.digest, pack, offset, left);
}

// Whether the catalog has a use for the pack; if not, it is as if it had not
// been added.
absl::StatusOr<bool> AddPack(SqliteDb& db, const NewPack& pack,
                             const absl::flat_hash_set<Digest>& needed,
                             PackRows& left) {
  RETURN_IF_ERROR(db.Run("INSERT INTO packs (name, num_bytes) VALUES (?, ?)",
                         pack.id, pack.num_bytes));
  const int64_t row = db.last_insert_id();
  bool used = false;
  for (const PlacedBlob& placed : pack.blobs) {
    if (!needed.contains(placed.blob.digest)) continue;
    ASSIGN_OR_RETURN(const std::optional<int64_t> added,
                     AddBlob(db, placed.blob, row, placed.offset, left));
    used = used || added.has_value();
  }
  if (!used) RETURN_IF_ERROR(db.Run("DELETE FROM packs WHERE id = ?", row));
  return used;
}

// Of a row: digest, num_bytes, crc32, the pack's name, offset, damage_time.
absl::StatusOr<BlobLocation> LocationOf(const SqliteQuery& query) {
  BlobLocation location;
  ASSIGN_OR_RETURN(location.blob.digest, query.DigestAt(0));
  location.blob.num_bytes = query.Int(1);
  location.blob.crc32 = static_cast<uint32_t>(query.Int(2));
  location.pack = query.String(3);
  location.offset = query.Int(4);
  if (!query.IsNull(5)) {
    location.damage_time = absl::FromUnixNanos(query.Int(5));
  }
  return location;
}

// Of rows that have the cursor behind the location.
absl::Status ReadLocations(SqliteQuery& query, BlobCursor& cursor,
                           std::vector<BlobLocation>& locations) {
  while (query.Next()) {
    ASSIGN_OR_RETURN(locations.emplace_back(), LocationOf(query));
    cursor = {query.Int(6), query.Int(7)};
  }
  return query.status();
}

}  // namespace

absl::StatusOr<std::optional<BlobLocation>> FindBlob(SqliteDb& db,
                                                     const Digest& digest) {
  SqliteQuery query = db.Query(
      "SELECT b.digest, b.num_bytes, b.crc32, p.name, b.offset, b.damage_time "
      "FROM blobs b LEFT JOIN packs p ON p.id = b.pack WHERE b.digest = ?",
      digest);
  std::optional<BlobLocation> location;
  if (query.Next()) {
    ASSIGN_OR_RETURN(location, LocationOf(query));
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
                           const absl::flat_hash_set<Digest>& needed,
                           PackRows& left) {
  for (const SmallBlob& small : blobs) {
    if (!needed.contains(small.blob.digest)) continue;
    ASSIGN_OR_RETURN(const std::optional<int64_t> row,
                     AddBlob(db, small.blob, std::nullopt, 0, left));
    if (!row.has_value()) continue;
    RETURN_IF_ERROR(
        db.Run("INSERT INTO small_blobs (blob, bytes) VALUES (?, ?)", *row,
               SqliteBytes{small.bytes}));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PackId>> AddPacks(
    SqliteDb& db, absl::Span<const NewPack> packs,
    const absl::flat_hash_set<Digest>& needed, PackRows& left) {
  std::vector<PackId> unused;
  for (const NewPack& pack : packs) {
    ASSIGN_OR_RETURN(const bool used, AddPack(db, pack, needed, left));
    if (!used) unused.push_back(pack.id);
  }
  return unused;
}

absl::StatusOr<std::vector<PackId>> RemoveEmptyPacks(SqliteDb& db,
                                                     const PackRows& packs) {
  std::vector<PackId> removed;
  for (const int64_t pack : packs) {
    SqliteQuery query = db.Query(
        "DELETE FROM packs WHERE id = ?1 "
        "AND NOT EXISTS (SELECT 1 FROM blobs WHERE pack = ?1) RETURNING name",
        pack);
    if (query.Next()) removed.push_back(query.String(0));
    RETURN_IF_ERROR(query.status());
  }
  return removed;
}

absl::StatusOr<BlobTotals> CountBlobRows(SqliteDb& db) {
  SqliteQuery query = db.Query(
      "SELECT count(*), sum(num_bytes) FROM blobs WHERE num_bytes > 0");
  BlobTotals totals;
  if (query.Next()) totals = {query.Int(0), query.Int(1)};
  RETURN_IF_ERROR(query.status());
  return totals;
}

absl::StatusOr<std::vector<BlobLocation>> NextBlobRows(SqliteDb& db,
                                                       BlobCursor& cursor,
                                                       int limit) {
  // Packs have ids from 1 on; those of 0 are the small blobs.
  std::vector<BlobLocation> locations;
  if (cursor.pack == 0) {
    SqliteQuery small = db.Query(
        "SELECT digest, num_bytes, crc32, NULL, offset, damage_time, 0, id "
        "FROM blobs WHERE pack IS NULL AND id > ? AND num_bytes > 0 "
        "ORDER BY id LIMIT ?",
        cursor.blob, limit);
    RETURN_IF_ERROR(ReadLocations(small, cursor, locations));
  }
  SqliteQuery packed = db.Query(
      "SELECT b.digest, b.num_bytes, b.crc32, p.name, b.offset, b.damage_time, "
      "b.pack, b.id FROM blobs b CROSS JOIN packs p ON p.id = b.pack "
      "WHERE (b.pack, b.id) > (?, ?) ORDER BY b.pack, b.id LIMIT ?",
      cursor.pack, cursor.blob, limit - static_cast<int64_t>(locations.size()));
  RETURN_IF_ERROR(ReadLocations(packed, cursor, locations));
  return locations;
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
  PackRows touched;
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
  return RemoveEmptyPacks(db, touched);
}

}  // namespace warmstart::store
