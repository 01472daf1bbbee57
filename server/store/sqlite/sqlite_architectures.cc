#include "server/store/sqlite/sqlite_architectures.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/model/architecture_json.h"
#include "server/store/errors.h"
#include "server/store/sqlite/sqlite_checkpoints.h"

namespace warmstart::store {
namespace {

absl::StatusOr<Architecture> Decode(int64_t version, absl::string_view schema) {
  ASSIGN_OR_RETURN(Architecture architecture, ArchitectureFromJson(schema));
  architecture.version = version;
  return architecture;
}

// All rows of (version, schema).
absl::StatusOr<std::vector<Architecture>> DecodeAll(SqliteQuery query) {
  std::vector<Architecture> architectures;
  while (query.Next()) {
    ASSIGN_OR_RETURN(architectures.emplace_back(),
                     Decode(query.Int(0), query.Text(1)));
  }
  RETURN_IF_ERROR(query.status());
  return architectures;
}

// What makes two versions the same: not the number, nor which checkpoint keeps
// the initial values, as long as they are equal.
Architecture ContentOf(Architecture architecture) {
  architecture.version = 0;
  architecture.initial_values.reset();
  for (ArchitectureEntry& entry : architecture.entries) {
    auto* const stored = std::get_if<StoredInit>(&entry.initializer);
    if (stored != nullptr) stored->key.clear();
  }
  return architecture;
}

// The newest version of its name that says the same, in whatever words.
absl::StatusOr<std::optional<int64_t>> FindSame(
    SqliteDb& db, const Architecture& architecture) {
  ASSIGN_OR_RETURN(
      std::optional<int64_t> same,
      db.FindInt("SELECT version FROM architecture_versions "
                 "WHERE name = ? AND schema = ? ORDER BY version DESC LIMIT 1",
                 architecture.name, ArchitectureToJson(architecture)));
  if (same.has_value()) return same;
  // An earlier program may have written the same schema in other words.
  const Architecture content = ContentOf(architecture);
  SqliteQuery query = db.Query(
      "SELECT schema, version FROM architecture_versions WHERE name = ? "
      "ORDER BY version DESC",
      architecture.name);
  while (query.Next()) {
    ASSIGN_OR_RETURN(Architecture other, ArchitectureFromJson(query.Text(0)));
    if (ContentOf(std::move(other)) == content) return query.Int(1);
  }
  RETURN_IF_ERROR(query.status());
  return std::nullopt;
}

// A checkpoint of the architecture.
absl::StatusOr<std::optional<int64_t>> FindUser(SqliteDb& db,
                                                const ArchitectureName& name) {
  // The comparison with 0 is what the index is made for.
  if (name.version() == 0) {
    return db.FindInt(
        "SELECT sequence FROM checkpoints "
        "INDEXED BY checkpoints_by_architecture_version "
        "WHERE architecture = ? AND architecture_version > 0 LIMIT 1",
        name.id());
  }
  return db.FindInt(
      "SELECT sequence FROM checkpoints "
      "INDEXED BY checkpoints_by_architecture_version WHERE architecture = ? "
      "AND architecture_version IS ? AND architecture_version > 0 LIMIT 1",
      name.id(), name.version());
}

}  // namespace

absl::StatusOr<ArchitectureVersion> ChooseVersion(
    SqliteDb& db, const Architecture& architecture) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> same,
                   FindSame(db, architecture));
  if (same.has_value()) return ArchitectureVersion{*same, /*is_new=*/false};
  ASSIGN_OR_RETURN(
      const std::optional<int64_t> last,
      db.FindInt("SELECT last_version FROM architectures WHERE name = ?",
                 architecture.name));
  return ArchitectureVersion{last.value_or(0) + 1, /*is_new=*/true};
}

absl::StatusOr<int64_t> PutArchitectureRows(SqliteDb& db,
                                            const Architecture& architecture) {
  ASSIGN_OR_RETURN(const ArchitectureVersion version,
                   ChooseVersion(db, architecture));
  if (!version.is_new) return version.number;
  std::optional<int64_t> initial_values;
  if (architecture.initial_values.has_value()) {
    ASSIGN_OR_RETURN(initial_values,
                     FindCheckpoint(db, *architecture.initial_values));
  }
  RETURN_IF_ERROR(
      db.Run("INSERT INTO architectures (name, last_version) VALUES (?, ?) "
             "ON CONFLICT (name) DO UPDATE SET "
             "last_version = excluded.last_version",
             architecture.name, version.number));
  RETURN_IF_ERROR(
      db.Run("INSERT INTO architecture_versions "
             "(name, version, schema, initial_values) VALUES (?, ?, ?, ?)",
             architecture.name, version.number,
             ArchitectureToJson(architecture), initial_values));
  return version.number;
}

absl::StatusOr<Architecture> ReadArchitecture(SqliteDb& db,
                                              const ArchitectureName& name) {
  const int64_t newest = name.version() == 0 ? INT64_MAX : name.version();
  const int64_t oldest = name.version() == 0 ? 1 : name.version();
  ASSIGN_OR_RETURN(
      std::vector<Architecture> found,
      DecodeAll(db.Query("SELECT version, schema FROM architecture_versions "
                         "WHERE name = ? AND version BETWEEN ? AND ? "
                         "ORDER BY version DESC LIMIT 1",
                         name.id(), oldest, newest)));
  if (found.empty()) return ArchitectureNotFound(name);
  return std::move(found[0]);
}

absl::StatusOr<std::vector<Architecture>> ReadNewestArchitectures(
    SqliteDb& db, const std::string& after, int limit) {
  return DecodeAll(
      db.Query("SELECT v.version, v.schema FROM architectures a "
               "JOIN architecture_versions v ON v.name = a.name "
               "AND v.version = (SELECT max(version) "
               "FROM architecture_versions WHERE name = a.name) "
               "WHERE a.name > ? ORDER BY a.name LIMIT ?",
               after, limit));
}

absl::StatusOr<std::vector<Architecture>> ReadArchitectureVersions(
    SqliteDb& db, const ArchitectureName& name, int64_t before, int limit) {
  ASSIGN_OR_RETURN(
      const std::optional<int64_t> any,
      db.FindInt("SELECT version FROM architecture_versions WHERE name = ? "
                 "LIMIT 1",
                 name.id()));
  if (!any.has_value()) return ArchitectureNotFound(name.WithVersion(0));
  return DecodeAll(
      db.Query("SELECT version, schema FROM architecture_versions "
               "WHERE name = ? AND version < ? ORDER BY version DESC LIMIT ?",
               name.id(), before, limit));
}

absl::Status DeleteArchitectureRows(SqliteDb& db, const ArchitectureName& name,
                                    bool force) {
  // The row of `architectures` stays: its number is never used again.
  RETURN_IF_ERROR(
      name.version() == 0
          ? db.Run("DELETE FROM architecture_versions WHERE name = ?",
                   name.id())
          : db.Run("DELETE FROM architecture_versions "
                   "WHERE name = ? AND version = ?",
                   name.id(), name.version()));
  if (db.num_changes() == 0) return ArchitectureNotFound(name);
  if (force) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<int64_t> user, FindUser(db, name));
  if (!user.has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const CheckpointName example, ReadCheckpointName(db, *user));
  return ArchitectureInUse(name, example);
}

absl::StatusOr<std::optional<ArchitectureName>> FindInitializedBy(
    SqliteDb& db, int64_t checkpoint) {
  SqliteQuery query = db.Query(
      "SELECT name, version FROM architecture_versions "
      "WHERE initial_values = ? LIMIT 1",
      checkpoint);
  std::optional<ArchitectureName> found;
  if (query.Next()) {
    ASSIGN_OR_RETURN(found, ArchitectureName::Parse(absl::StrCat(
                                query.Text(0), "/versions/", query.Int(1))));
  }
  RETURN_IF_ERROR(query.status());
  return found;
}

}  // namespace warmstart::store
