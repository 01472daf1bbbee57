#include "server/store/sqlite/sqlite_packs.h"

#include <cstdint>
#include <optional>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/placement.h"

namespace warmstart::store {
namespace {

using RowIds = absl::flat_hash_set<int64_t>;

// Of those packs that are still there.
absl::StatusOr<RowIds> FindPackRows(SqliteDb& db,
                                    absl::Span<const PackId> packs) {
  RowIds rows;
  for (const PackId& pack : packs) {
    ASSIGN_OR_RETURN(const std::optional<int64_t> row,
                     db.FindInt("SELECT id FROM packs WHERE name = ?", pack));
    if (row.has_value()) rows.insert(*row);
  }
  return rows;
}

// How many were moved.
absl::StatusOr<int64_t> MoveTo(SqliteDb& db, int64_t to,
                               absl::Span<const PlacedBlob> blobs,
                               const RowIds& from) {
  SqliteQuery find = db.Query(
      "SELECT id, pack FROM blobs WHERE digest = ? AND damage_time IS NULL");
  SqliteQuery move =
      db.Query("UPDATE blobs SET pack = ?, offset = ? WHERE id = ?");
  int64_t num_moved = 0;
  for (const PlacedBlob& placed : blobs) {
    find.Restart(placed.blob.digest);
    const bool is_there = find.Next() && from.contains(find.Int(1));
    RETURN_IF_ERROR(find.status());
    if (!is_there) continue;
    RETURN_IF_ERROR(move.Run(to, placed.offset, find.Int(0)));
    ++num_moved;
  }
  return num_moved;
}

absl::Status DeleteEmptyPacks(SqliteDb& db, const RowIds& rows,
                              std::vector<PackId>& deleted) {
  for (const int64_t row : rows) {
    SqliteQuery query = db.Query(
        "DELETE FROM packs WHERE id = ?1 "
        "AND NOT EXISTS (SELECT 1 FROM blobs WHERE pack = ?1) RETURNING name",
        row);
    while (query.Next()) deleted.push_back(query.String(0));
    RETURN_IF_ERROR(query.status());
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> ReadPragma(SqliteDb& db, absl::string_view sql) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> value, db.FindInt(sql));
  return value.value_or(0);
}

}  // namespace

absl::StatusOr<std::vector<PackUsage>> ReadPackUsage(SqliteDb& db) {
  SqliteQuery query = db.Query(
      "SELECT p.id, p.name, p.num_bytes, b.offset, b.num_bytes, "
      "b.damage_time IS NOT NULL FROM packs p "
      "CROSS JOIN blobs b ON b.pack = p.id ORDER BY p.id, b.offset");
  std::vector<PackUsage> packs;
  std::optional<int64_t> row;
  PackedSize size;
  while (query.Next()) {
    if (row != query.Int(0)) {
      row = query.Int(0);
      size = PackedSize();
      packs.push_back({.id = query.String(1), .num_bytes = query.Int(2)});
    }
    size.Add(query.Int(3), query.Int(4));
    packs.back().live_bytes = size.num_bytes();
    packs.back().has_damage = packs.back().has_damage || query.Int(5) != 0;
  }
  RETURN_IF_ERROR(query.status());
  return packs;
}

absl::StatusOr<std::vector<PlacedBlob>> ReadBlobsIn(SqliteDb& db,
                                                    const PackId& pack) {
  SqliteQuery query = db.Query(
      "SELECT b.digest, b.num_bytes, b.crc32, b.offset FROM packs p "
      "CROSS JOIN blobs b ON b.pack = p.id WHERE p.name = ? ORDER BY b.offset",
      pack);
  std::vector<PlacedBlob> blobs;
  while (query.Next()) {
    ASSIGN_OR_RETURN(const Digest digest, query.DigestAt(0));
    blobs.push_back({.blob = {.digest = digest,
                              .num_bytes = query.Int(1),
                              .crc32 = static_cast<uint32_t>(query.Int(2))},
                     .offset = query.Int(3)});
  }
  RETURN_IF_ERROR(query.status());
  return blobs;
}

absl::StatusOr<std::vector<PackId>> MoveBlobRows(
    SqliteDb& db, const NewPack& to, absl::Span<const PackId> from) {
  ASSIGN_OR_RETURN(const RowIds from_rows, FindPackRows(db, from));
  RETURN_IF_ERROR(db.Run("INSERT INTO packs (name, num_bytes) VALUES (?, ?)",
                         to.id, to.num_bytes));
  const int64_t to_row = db.last_insert_id();
  ASSIGN_OR_RETURN(const int64_t num_moved,
                   MoveTo(db, to_row, to.blobs, from_rows));
  std::vector<PackId> unused;
  if (num_moved == 0) {
    RETURN_IF_ERROR(db.Run("DELETE FROM packs WHERE id = ?", to_row));
    unused.push_back(to.id);
  }
  RETURN_IF_ERROR(DeleteEmptyPacks(db, from_rows, unused));
  return unused;
}

absl::StatusOr<CatalogSpace> ReadSpace(SqliteDb& db) {
  ASSIGN_OR_RETURN(const int64_t page_bytes,
                   ReadPragma(db, "PRAGMA page_size"));
  ASSIGN_OR_RETURN(const int64_t num_pages,
                   ReadPragma(db, "PRAGMA page_count"));
  ASSIGN_OR_RETURN(const int64_t num_free,
                   ReadPragma(db, "PRAGMA freelist_count"));
  return CatalogSpace{.num_bytes = num_pages * page_bytes,
                      .free_bytes = num_free * page_bytes};
}

absl::Status WriteSomething(SqliteDb& db) {
  ASSIGN_OR_RETURN(const int64_t version,
                   ReadPragma(db, "PRAGMA user_version"));
  // Each time on the same page, and also where nothing changes.
  return db.RunScript(absl::StrCat("PRAGMA user_version = ", version));
}

}  // namespace warmstart::store
