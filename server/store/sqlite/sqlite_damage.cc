#include "server/store/sqlite/sqlite_damage.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/sqlite/sqlite_blobs.h"

namespace warmstart::store {
namespace {

// NULL, as in the table, for the blobs that the catalog keeps.
std::optional<std::string> PackName(const BlobLocation& location) {
  if (location.pack.empty()) return std::nullopt;
  return location.pack;
}

// In the transaction that puts it into quarantine: since it was looked at, its
// bytes may have been brought anew, to the place where they were.
absl::StatusOr<bool> IsIntactInCatalog(SqliteDb& db, const Digest& digest) {
  const absl::StatusOr<std::string> bytes = ReadSmallBlob(db, digest);
  if (absl::IsDataLoss(bytes.status())) return false;
  RETURN_IF_ERROR(bytes.status());
  return Digest::Of(*bytes) == digest;
}

// Row ids of blobs that are told, and where.
using ToldBlobs = absl::flat_hash_map<int64_t, size_t>;

absl::StatusOr<ToldBlobs> ReadDamagedBlobs(SqliteDb& db, int limit,
                                           Damage& damage) {
  SqliteQuery query = db.Query(
      "SELECT b.id, b.digest, b.num_bytes, b.damage_time, p.name, b.offset "
      "FROM blobs b LEFT JOIN packs p ON p.id = b.pack "
      "WHERE b.damage_time IS NOT NULL ORDER BY b.damage_time, b.id");
  ToldBlobs told;
  while (query.Next()) {
    ++damage.num_blobs;
    damage.num_bytes += query.Int(2);
    if (damage.num_blobs > limit) continue;
    told[query.Int(0)] = damage.blobs.size();
    DamagedBlob& blob = damage.blobs.emplace_back();
    ASSIGN_OR_RETURN(blob.digest, query.DigestAt(1));
    blob.num_bytes = query.Int(2);
    blob.damage_time = absl::FromUnixNanos(query.Int(3));
    blob.pack = query.String(4);
    blob.offset = query.Int(5);
  }
  RETURN_IF_ERROR(query.status());
  return told;
}

absl::Status AddUse(absl::string_view checkpoint, absl::string_view key,
                    int limit, DamagedBlob& blob) {
  ++blob.num_uses;
  if (static_cast<int64_t>(blob.uses.size()) >= limit) return absl::OkStatus();
  ASSIGN_OR_RETURN(CheckpointName name, CheckpointName::Parse(absl::StrCat(
                                            "checkpoints/", checkpoint)));
  blob.uses.push_back({std::move(name), std::string(key)});
  return absl::OkStatus();
}

// An entry needs its own blob and the storage that it shares.
absl::Status ReadUses(SqliteDb& db, const ToldBlobs& told, int limit,
                      Damage& damage) {
  SqliteQuery query = db.Query(
      "SELECT c.name, e.key, e.blob, s.blob FROM checkpoints c "
      "CROSS JOIN entries e ON e.checkpoint = c.sequence "
      "LEFT JOIN storages s "
      "  ON s.checkpoint = e.checkpoint AND s.position = e.storage "
      "WHERE e.blob IN (SELECT id FROM blobs WHERE damage_time IS NOT NULL) "
      "OR s.blob IN (SELECT id FROM blobs WHERE damage_time IS NOT NULL) "
      "ORDER BY c.sequence DESC, e.position");
  while (query.Next()) {
    const auto own = told.find(query.Int(2));
    if (own != told.end()) {
      RETURN_IF_ERROR(AddUse(query.Text(0), query.Text(1), limit,
                             damage.blobs[own->second]));
    }
    const auto shared = told.find(query.Int(3));
    if (shared != told.end() && shared != own) {
      RETURN_IF_ERROR(AddUse(query.Text(0), query.Text(1), limit,
                             damage.blobs[shared->second]));
    }
  }
  return query.status();
}

}  // namespace

absl::StatusOr<int64_t> MarkDamagedRows(SqliteDb& db,
                                        absl::Span<const BlobLocation> blobs,
                                        absl::Time damage_time) {
  SqliteQuery update = db.Query(
      "UPDATE blobs SET damage_time = ?1 WHERE digest = ?2 AND offset = ?3 "
      "AND pack IS (SELECT id FROM packs WHERE name = ?4) "
      "AND damage_time IS NULL");
  int64_t num_marked = 0;
  for (const BlobLocation& location : blobs) {
    const Digest& digest = location.blob.digest;
    if (location.pack.empty()) {
      const absl::StatusOr<bool> is_intact = IsIntactInCatalog(db, digest);
      if (absl::IsNotFound(is_intact.status())) continue;  // deleted meanwhile
      RETURN_IF_ERROR(is_intact.status());
      if (*is_intact) continue;
    }
    RETURN_IF_ERROR(update.Run(absl::ToUnixNanos(damage_time), digest,
                               location.offset, PackName(location)));
    num_marked += db.num_changes();
  }
  return num_marked;
}

absl::StatusOr<int64_t> MarkIntactRows(SqliteDb& db,
                                       absl::Span<const BlobLocation> blobs) {
  SqliteQuery update = db.Query(
      "UPDATE blobs SET damage_time = NULL WHERE digest = ?1 AND offset = ?2 "
      "AND pack IS (SELECT id FROM packs WHERE name = ?3) "
      "AND damage_time IS NOT NULL");
  int64_t num_marked = 0;
  for (const BlobLocation& location : blobs) {
    RETURN_IF_ERROR(
        update.Run(location.blob.digest, location.offset, PackName(location)));
    num_marked += db.num_changes();
  }
  return num_marked;
}

absl::StatusOr<Damage> ReadDamage(SqliteDb& db, const DamageLimits& limits) {
  Damage damage;
  ASSIGN_OR_RETURN(const ToldBlobs told,
                   ReadDamagedBlobs(db, limits.blobs, damage));
  if (told.empty()) return damage;
  RETURN_IF_ERROR(ReadUses(db, told, limits.uses, damage));
  return damage;
}

}  // namespace warmstart::store
