#include "server/store/sqlite/sqlite_manifest.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/base/status_macros.h"
#include "server/model/digest.h"
#include "server/model/dtype.h"
#include "server/model/tensor_spec.h"
#include "server/store/errors.h"
#include "server/store/sqlite/sqlite_rows.h"

namespace warmstart::store {
namespace {

// "10,16", as shapes and strides are kept; "" for none.
std::string JoinInts(absl::Span<const int64_t> values) {
  return absl::StrJoin(values, ",");
}

std::optional<std::vector<int64_t>> SplitInts(absl::string_view text) {
  std::vector<int64_t> values;
  const char* position = text.data();
  const char* const end = position + text.size();
  while (position != end) {
    const auto [next, error] =
        std::from_chars(position, end, values.emplace_back());
    if (error != std::errc()) return std::nullopt;
    if (next == end) break;
    if (*next != ',' || next + 1 == end) return std::nullopt;
    position = next + 1;
  }
  return values;
}

// Finds blobs by digest.
class BlobFinder {
 public:
  BlobFinder(SqliteDb& db, SqliteKnownBlobs& known)
      : known_(known),
        query_(db,
               "SELECT id, num_bytes, damage_time FROM blobs "
               "WHERE digest = ?") {}

  // The row id. `what` is for the messages.
  absl::StatusOr<int64_t> Find(const Digest& digest, int64_t num_bytes,
                               absl::FunctionRef<std::string()> what) {
    ASSIGN_OR_RETURN(const std::optional<Row> row, FindRow(digest));
    if (!row.has_value()) return SourceDeleted(what(), digest);
    if (row->num_bytes == num_bytes) return row->id;
    return absl::InvalidArgumentError(absl::StrCat(
        what(), " has ", num_bytes, " bytes, but the blob that it names has ",
        row->num_bytes));
  }

 private:
  using Row = SqliteKnownBlobs::Row;

  absl::StatusOr<std::optional<Row>> FindRow(const Digest& digest) {
    if (const Row* const known = known_.Find(digest)) return *known;
    query_.Restart(digest);
    std::optional<Row> row;
    if (query_.Next()) {
      if (!query_.IsNull(2)) {
        return BlobDamaged(digest, absl::FromUnixNanos(query_.Int(2)));
      }
      row = Row{query_.Int(0), query_.Int(1)};
    }
    RETURN_IF_ERROR(query_.status());
    if (row.has_value()) known_.Add(digest, *row);
    return row;
  }

  SqliteKnownBlobs& known_;
  SqliteQuery query_;
};

std::string EntryName(const ManifestEntry& entry) {
  return absl::StrCat("tensor '", entry.key, "'");
}

absl::Status CheckView(const Manifest& manifest, const ManifestEntry& entry) {
  if (!entry.view.has_value()) return absl::OkStatus();
  const StorageView& view = *entry.view;
  if (view.storage < 0 ||
      static_cast<size_t>(view.storage) >= manifest.storages.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(EntryName(entry), " is in storage ", view.storage, " of ",
                     manifest.storages.size()));
  }
  if (view.strides.size() != entry.spec.shape().sizes().size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(EntryName(entry), " has ", entry.spec.shape().rank(),
                     " dimensions, but ", view.strides.size(), " strides"));
  }
  return absl::OkStatus();
}

void BindEntry(SqliteQuery& insert, int64_t checkpoint, size_t position,
               const ManifestEntry& entry, int64_t blob) {
  std::optional<int64_t> storage;
  std::optional<int64_t> offset;
  std::optional<std::string> strides;
  if (entry.view.has_value()) {
    storage = entry.view->storage;
    offset = entry.view->offset;
    strides = JoinInts(entry.view->strides);
  }
  insert.BindNext(checkpoint, position, SqliteBorrowed{entry.key},
                  static_cast<int>(entry.spec.dtype()),
                  JoinInts(entry.spec.shape().sizes()), blob, storage, offset,
                  strides);
}

absl::Status InsertEntries(SqliteDb& db, int64_t checkpoint,
                           const std::vector<ManifestEntry>& entries,
                           const std::vector<int64_t>& blobs) {
  static const SqliteRows& rows = *new SqliteRows(
      "entries", {"checkpoint", "position", "key", "dtype", "shape", "blob",
                  "storage", "storage_offset", "strides"});
  return rows.Insert(db, entries.size(), [&](SqliteQuery& insert, size_t i) {
    BindEntry(insert, checkpoint, i, entries[i], blobs[i]);
  });
}

absl::Status InsertModuleVersions(SqliteDb& db, int64_t checkpoint,
                                  const std::vector<ModuleVersion>& modules) {
  static const SqliteRows& rows = *new SqliteRows(
      "module_versions", {"checkpoint", "position", "path", "version"});
  return rows.Insert(db, modules.size(), [&](SqliteQuery& insert, size_t i) {
    insert.BindNext(checkpoint, i, SqliteBorrowed{modules[i].path},
                    modules[i].version);
  });
}

absl::Status Malformed(int64_t checkpoint, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("the catalog's row ", checkpoint,
                                          " of checkpoints has ", what,
                                          " that cannot be read"));
}

absl::StatusOr<TensorSpec> DecodeSpec(int64_t dtype_number,
                                      absl::string_view shape_text) {
  ASSIGN_OR_RETURN(const DType dtype, DTypeFromNumber(dtype_number));
  std::optional<std::vector<int64_t>> sizes = SplitInts(shape_text);
  if (!sizes.has_value()) return absl::InvalidArgumentError("bad shape");
  ASSIGN_OR_RETURN(Shape shape, Shape::Create(*std::move(sizes)));
  return TensorSpec::Create(dtype, std::move(shape));
}

absl::Status ReadEntries(SqliteDb& db, int64_t checkpoint, Manifest& manifest) {
  ASSIGN_OR_RETURN(
      const std::optional<int64_t> count,
      db.FindInt("SELECT count(*) FROM entries WHERE checkpoint = ?",
                 checkpoint));
  manifest.entries.reserve(count.value_or(0));
  // CROSS JOIN: SQLite keeps the order of the tables, the cheap one here.
  SqliteQuery query = db.Query(
      "SELECT e.key, e.dtype, e.shape, b.digest, e.storage, e.storage_offset, "
      "e.strides FROM entries e CROSS JOIN blobs b ON b.id = e.blob "
      "WHERE e.checkpoint = ? ORDER BY e.position",
      checkpoint);
  while (query.Next()) {
    ManifestEntry& entry = manifest.entries.emplace_back();
    entry.key = query.String(0);
    absl::StatusOr<TensorSpec> spec = DecodeSpec(query.Int(1), query.Text(2));
    if (!spec.ok()) return Malformed(checkpoint, EntryName(entry));
    entry.spec = *std::move(spec);
    ASSIGN_OR_RETURN(entry.digest, query.DigestAt(3));
    if (query.IsNull(4)) continue;
    std::optional<std::vector<int64_t>> strides = SplitInts(query.Text(6));
    if (!strides.has_value()) return Malformed(checkpoint, EntryName(entry));
    entry.view = StorageView{.storage = static_cast<int32_t>(query.Int(4)),
                             .offset = query.Int(5),
                             .strides = *std::move(strides)};
  }
  return query.status();
}

absl::Status ReadStorages(SqliteDb& db, int64_t checkpoint,
                          Manifest& manifest) {
  SqliteQuery query = db.Query(
      "SELECT b.digest, b.num_bytes FROM storages s "
      "CROSS JOIN blobs b ON b.id = s.blob "
      "WHERE s.checkpoint = ? ORDER BY s.position",
      checkpoint);
  while (query.Next()) {
    ASSIGN_OR_RETURN(const Digest digest, query.DigestAt(0));
    manifest.storages.push_back({digest, query.Int(1)});
  }
  return query.status();
}

absl::Status ReadSubtrees(SqliteDb& db, int64_t checkpoint,
                          Manifest& manifest) {
  SqliteQuery query = db.Query(
      "SELECT path FROM subtrees WHERE checkpoint = ? ORDER BY position",
      checkpoint);
  while (query.Next()) manifest.subtrees.push_back(query.String(0));
  return query.status();
}

absl::Status ReadModuleVersions(SqliteDb& db, int64_t checkpoint,
                                Manifest& manifest) {
  SqliteQuery query = db.Query(
      "SELECT path, version FROM module_versions WHERE checkpoint = ? "
      "ORDER BY position",
      checkpoint);
  while (query.Next()) {
    manifest.module_versions.push_back({query.String(0), query.Int(1)});
  }
  return query.status();
}

absl::Status ReadMetadata(SqliteDb& db, int64_t checkpoint,
                          Manifest& manifest) {
  SqliteQuery query = db.Query(
      "SELECT metadata FROM checkpoint_texts WHERE checkpoint = ?", checkpoint);
  if (query.Next()) manifest.metadata_json = query.String(0);
  return query.status();
}

}  // namespace

std::vector<int64_t> ManifestBlobs::Distinct() const {
  std::vector<int64_t> blobs = entries;
  blobs.insert(blobs.end(), storages.begin(), storages.end());
  std::sort(blobs.begin(), blobs.end());
  blobs.erase(std::unique(blobs.begin(), blobs.end()), blobs.end());
  return blobs;
}

absl::StatusOr<ManifestBlobs> ResolveBlobs(SqliteDb& db,
                                           const Manifest& manifest,
                                           SqliteKnownBlobs& known) {
  BlobFinder finder(db, known);
  ManifestBlobs blobs;
  absl::flat_hash_set<int64_t> counted;
  for (const ManifestEntry& entry : manifest.entries) {
    RETURN_IF_ERROR(CheckView(manifest, entry));
    const int64_t num_bytes = entry.spec.num_bytes();
    ASSIGN_OR_RETURN(
        const int64_t blob,
        finder.Find(entry.digest, num_bytes, [&] { return EntryName(entry); }));
    blobs.entries.push_back(blob);
    // Cannot overflow: each of these blobs is on the disk.
    if (counted.insert(blob).second) blobs.num_bytes += num_bytes;
  }
  for (size_t i = 0; i < manifest.storages.size(); ++i) {
    const SharedStorage& storage = manifest.storages[i];
    ASSIGN_OR_RETURN(const int64_t blob,
                     finder.Find(storage.digest, storage.num_bytes,
                                 [&] { return absl::StrCat("storage ", i); }));
    blobs.storages.push_back(blob);
  }
  return blobs;
}

absl::Status InsertManifest(SqliteDb& db, int64_t checkpoint,
                            const Manifest& manifest,
                            const ManifestBlobs& blobs) {
  RETURN_IF_ERROR(
      InsertEntries(db, checkpoint, manifest.entries, blobs.entries));
  for (size_t i = 0; i < blobs.storages.size(); ++i) {
    RETURN_IF_ERROR(db.Run(
        "INSERT INTO storages (checkpoint, position, blob) VALUES (?, ?, ?)",
        checkpoint, i, blobs.storages[i]));
  }
  for (size_t i = 0; i < manifest.subtrees.size(); ++i) {
    RETURN_IF_ERROR(db.Run(
        "INSERT INTO subtrees (checkpoint, position, path) VALUES (?, ?, ?)",
        checkpoint, i, manifest.subtrees[i]));
  }
  return InsertModuleVersions(db, checkpoint, manifest.module_versions);
}

absl::StatusOr<Manifest> ReadManifest(SqliteDb& db, int64_t checkpoint) {
  Manifest manifest;
  RETURN_IF_ERROR(ReadEntries(db, checkpoint, manifest));
  RETURN_IF_ERROR(ReadStorages(db, checkpoint, manifest));
  RETURN_IF_ERROR(ReadSubtrees(db, checkpoint, manifest));
  RETURN_IF_ERROR(ReadModuleVersions(db, checkpoint, manifest));
  RETURN_IF_ERROR(ReadMetadata(db, checkpoint, manifest));
  return manifest;
}

}  // namespace warmstart::store
