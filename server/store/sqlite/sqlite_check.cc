#include "server/store/sqlite/sqlite_check.h"

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/model/manifest.h"
#include "server/store/sqlite/sqlite_blobs.h"
#include "server/store/sqlite/sqlite_manifest.h"

namespace warmstart::store {
namespace {

// Each row of each of these, a text, is a finding. Blobs and checkpoints are
// gone through once, in the functions below.
constexpr const char* kQueries[] = {
    "SELECT 'SQLite: ' || integrity_check FROM pragma_integrity_check "
    "WHERE integrity_check <> 'ok'",

    "SELECT printf('row %d of %s refers to a row of %s that is not there', "
    "rowid, \"table\", parent) FROM pragma_foreign_key_check",

    "SELECT printf('pack %s has no tensor', name) FROM packs p "
    "WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE pack = p.id)",

    "SELECT printf('tensor %s lies outside of pack %s: %d bytes at offset %d "
    "of %d', lower(hex(b.digest)), p.name, b.num_bytes, b.offset, p.num_bytes) "
    "FROM blobs b CROSS JOIN packs p ON p.id = b.pack "
    "WHERE b.offset < 0 OR b.offset + b.num_bytes > p.num_bytes",

    "SELECT printf('tensor %s lies both in a pack and in the catalog', "
    "lower(hex(b.digest))) FROM small_blobs s CROSS JOIN blobs b "
    "ON b.id = s.blob WHERE b.pack IS NOT NULL OR b.num_bytes = 0",

    "SELECT printf('the catalog has %d bytes of tensor %s, which has %d', "
    "coalesce(length(s.bytes), 0), lower(hex(b.digest)), b.num_bytes) "
    "FROM blobs b LEFT JOIN small_blobs s ON s.blob = b.id "
    "WHERE b.pack IS NULL AND b.num_bytes > 0 AND b.damage_time IS NULL "
    "AND coalesce(length(s.bytes), 0) <> b.num_bytes",

    "SELECT printf('tensor %s was found to be damaged or gone at %s; "
    "`warmstart admin scrub --list` tells who needs it', lower(hex(digest)), "
    "strftime('%Y-%m-%dT%H:%M:%SZ', damage_time / 1000000000, 'unixepoch')) "
    "FROM blobs WHERE damage_time IS NOT NULL ORDER BY damage_time, id",
};

using Finding = absl::FunctionRef<void(std::string)>;

// By the blobs' row ids, how many checkpoints need each.
using References = absl::flat_hash_map<int64_t, int64_t>;

// A part of the check that ran into rows that cannot be read has found
// something; the others may find more.
absl::Status AsFinding(const absl::Status& status, Finding finding) {
  if (!absl::IsDataLoss(status)) return status;
  finding(absl::StrCat("the catalog cannot be read: ", status.message()));
  return absl::OkStatus();
}

absl::Status RunQuery(SqliteDb& db, const char* sql, Finding finding) {
  SqliteQuery query = db.Query(sql);
  while (query.Next()) finding(query.String(0));
  return query.status();
}

absl::Status CheckManifest(SqliteDb& db, int64_t sequence,
                           const std::string& name, int64_t num_tensors,
                           Finding finding) {
  const absl::StatusOr<Manifest> manifest = ReadManifest(db, sequence);
  if (absl::IsDataLoss(manifest.status())) {
    finding(absl::StrCat("checkpoints/", name,
                         " cannot be read: ", manifest.status().message()));
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(manifest.status());
  // An entry whose blob is not there is not among them.
  const int64_t found = static_cast<int64_t>(manifest->entries.size());
  if (found != num_tensors) {
    finding(absl::StrCat("checkpoints/", name, " has ", found, " of its ",
                         num_tensors, " tensors"));
  }
  const int64_t num_storages = static_cast<int64_t>(manifest->storages.size());
  for (const ManifestEntry& entry : manifest->entries) {
    if (!entry.view.has_value()) continue;
    if (entry.view->storage >= 0 && entry.view->storage < num_storages) {
      continue;
    }
    finding(absl::StrCat("tensor '", entry.key, "' of checkpoints/", name,
                         " shares storage ", entry.view->storage, " of ",
                         num_storages));
  }
  return absl::OkStatus();
}

absl::Status CheckCheckpoints(SqliteDb& db, Finding finding,
                              References& references, int64_t& count) {
  SqliteQuery checkpoints = db.Query(
      "SELECT sequence, name, num_tensors FROM checkpoints ORDER BY sequence");
  while (checkpoints.Next()) {
    ++count;
    const int64_t sequence = checkpoints.Int(0);
    RETURN_IF_ERROR(CheckManifest(db, sequence, checkpoints.String(1),
                                  checkpoints.Int(2), finding));
    ASSIGN_OR_RETURN(const std::vector<int64_t> blobs,
                     ReferencedBlobs(db, sequence));
    for (const int64_t blob : blobs) ++references[blob];
  }
  return checkpoints.status();
}

// Takes those that are there out of `references`.
absl::Status CheckBlobs(SqliteDb& db, Finding finding, References& references,
                        int64_t& count) {
  SqliteQuery blobs = db.Query(
      "SELECT id, num_references, num_bytes, lower(hex(digest)) FROM blobs "
      "ORDER BY id");
  while (blobs.Next()) {
    const auto found = references.find(blobs.Int(0));
    const int64_t needed_by = found == references.end() ? 0 : found->second;
    if (found != references.end()) references.erase(found);
    if (blobs.Int(1) != needed_by) {
      finding(absl::StrCat("tensor ", blobs.Text(3), " is counted as that of ",
                           blobs.Int(1), " checkpoints, and ", needed_by,
                           " have it"));
    }
    if (blobs.Int(2) == 0) continue;  // the empty blob
    ++count;
    if (needed_by == 0) {
      finding(absl::StrCat("tensor ", blobs.Text(3), " is no checkpoint's"));
    }
  }
  return blobs.status();
}

absl::Status CheckReferences(SqliteDb& db, Finding finding,
                             CatalogCheck& check) {
  References references;
  RETURN_IF_ERROR(
      CheckCheckpoints(db, finding, references, check.num_checkpoints));
  RETURN_IF_ERROR(CheckBlobs(db, finding, references, check.num_blobs));
  if (!references.empty()) {
    finding(absl::StrCat(references.size(),
                         " tensors that checkpoints have are not there"));
  }
  return absl::OkStatus();
}

absl::Status ReadPacks(SqliteDb& db, std::vector<PackFile>& packs) {
  SqliteQuery query = db.Query("SELECT name, num_bytes FROM packs");
  while (query.Next()) packs.push_back({query.String(0), query.Int(1)});
  return query.status();
}

}  // namespace

absl::StatusOr<CatalogCheck> CheckRows(SqliteDb& db, Finding finding) {
  CatalogCheck check;
  for (const char* sql : kQueries) {
    RETURN_IF_ERROR(AsFinding(RunQuery(db, sql, finding), finding));
  }
  RETURN_IF_ERROR(AsFinding(CheckReferences(db, finding, check), finding));
  // Without these, every file in packs/ would be nobody's.
  RETURN_IF_ERROR(ReadPacks(db, check.packs));
  return check;
}

}  // namespace warmstart::store
