#include "server/store/sqlite/sqlite_checkpoints.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/errors.h"

namespace warmstart::store {
namespace {

// For names that were valid when they were written.
template <typename Name>
absl::StatusOr<Name> ParseStoredName(absl::string_view text) {
  absl::StatusOr<Name> name = Name::Parse(text);
  if (name.ok()) return name;
  return absl::DataLossError(
      absl::StrCat("the catalog is corrupt: ", name.status().message()));
}

absl::Status NoSuchRow(int64_t sequence) {
  return absl::DataLossError(absl::StrCat(
      "the catalog is corrupt: row ", sequence, " of checkpoints is missing"));
}

// nullopt for "", which is the name of none.
absl::StatusOr<std::optional<ArchitectureName>> DecodeArchitecture(
    absl::string_view name, int64_t version) {
  if (name.empty()) return std::nullopt;
  ASSIGN_OR_RETURN(const ArchitectureName architecture,
                   ParseStoredName<ArchitectureName>(name));
  return architecture.WithVersion(version);
}

// As the column `expire_time` has it.
std::optional<int64_t> ExpireNanos(const Expiration& expiration,
                                   absl::Time now) {
  const std::optional<absl::Time> time = ExpireTime(expiration, now);
  if (!time.has_value()) return std::nullopt;
  return absl::ToUnixNanos(*time);
}

}  // namespace

absl::StatusOr<int64_t> FindCheckpoint(SqliteDb& db,
                                       const CheckpointName& name) {
  ASSIGN_OR_RETURN(
      const std::optional<int64_t> sequence,
      db.FindInt("SELECT sequence FROM checkpoints WHERE name = ?", name.id()));
  if (!sequence.has_value()) return CheckpointNotFound(name);
  return *sequence;
}

absl::StatusOr<int64_t> InsertCheckpoint(SqliteDb& db,
                                         const CheckpointName& name,
                                         absl::Time create_time,
                                         int64_t num_bytes,
                                         const NewCheckpoint& checkpoint) {
  const ArchitectureName architecture =
      checkpoint.architecture.value_or(ArchitectureName());
  RETURN_IF_ERROR(
      db.Run("INSERT INTO checkpoints (name, architecture, "
             "architecture_version, create_time, num_tensors, num_bytes, "
             "expire_time) VALUES (?, ?, ?, ?, ?, ?, ?)",
             name.id(), architecture.id(), architecture.version(),
             absl::ToUnixNanos(create_time), checkpoint.manifest.entries.size(),
             num_bytes, ExpireNanos(checkpoint.expiration, create_time)));
  const int64_t sequence = db.last_insert_id();
  RETURN_IF_ERROR(db.Run(
      "INSERT INTO checkpoint_texts (checkpoint, report, origin, "
      "metadata) VALUES (?, ?, ?, ?)",
      sequence, SqliteBorrowed{checkpoint.report_json}, checkpoint.origin_json,
      SqliteBorrowed{checkpoint.manifest.metadata_json}));
  RETURN_IF_ERROR(InsertLabels(db, sequence, checkpoint.labels));
  if (checkpoint.alias.has_value()) {
    RETURN_IF_ERROR(PutAlias(db, *checkpoint.alias, sequence, create_time));
  }
  if (!checkpoint.request_id.empty()) {
    RETURN_IF_ERROR(db.Run(
        "INSERT INTO requests (request_id, fingerprint, checkpoint) "
        "VALUES (?, ?, ?)",
        checkpoint.request_id, checkpoint.request_fingerprint, sequence));
  }
  return sequence;
}

absl::StatusOr<Checkpoint> ReadCheckpoint(SqliteDb& db, int64_t sequence) {
  Checkpoint checkpoint;
  {
    SqliteQuery query = db.Query(
        "SELECT c.name, c.architecture, c.architecture_version, "
        "c.create_time, c.num_tensors, c.num_bytes, t.report, t.origin, "
        "c.expire_time FROM checkpoints c "
        "JOIN checkpoint_texts t ON t.checkpoint = c.sequence "
        "WHERE c.sequence = ?",
        sequence);
    const bool found = query.Next();
    RETURN_IF_ERROR(query.status());
    if (!found) return NoSuchRow(sequence);
    ASSIGN_OR_RETURN(checkpoint.name,
                     ParseStoredName<CheckpointName>(
                         absl::StrCat("checkpoints/", query.Text(0))));
    ASSIGN_OR_RETURN(checkpoint.architecture,
                     DecodeArchitecture(query.Text(1), query.Int(2)));
    checkpoint.create_time = absl::FromUnixNanos(query.Int(3));
    checkpoint.num_tensors = query.Int(4);
    checkpoint.num_bytes = query.Int(5);
    checkpoint.report_json = query.String(6);
    checkpoint.origin_json = query.String(7);
    if (!query.IsNull(8)) {
      checkpoint.expire_time = absl::FromUnixNanos(query.Int(8));
    }
  }
  ASSIGN_OR_RETURN(checkpoint.labels, ReadLabels(db, sequence));
  ASSIGN_OR_RETURN(checkpoint.aliases, ReadAliases(db, sequence));
  return checkpoint;
}

absl::StatusOr<CheckpointName> ReadCheckpointName(SqliteDb& db,
                                                  int64_t sequence) {
  SqliteQuery query =
      db.Query("SELECT name FROM checkpoints WHERE sequence = ?", sequence);
  const bool found = query.Next();
  RETURN_IF_ERROR(query.status());
  if (!found) return NoSuchRow(sequence);
  return ParseStoredName<CheckpointName>(
      absl::StrCat("checkpoints/", query.Text(0)));
}

absl::Status InsertLabels(SqliteDb& db, int64_t sequence,
                          const Labels& labels) {
  for (const auto& [key, value] : labels) {
    RETURN_IF_ERROR(
        db.Run("INSERT INTO labels (checkpoint, key, value) VALUES (?, ?, ?)",
               sequence, key, value));
  }
  return absl::OkStatus();
}

absl::StatusOr<Labels> ReadLabels(SqliteDb& db, int64_t sequence) {
  SqliteQuery query =
      db.Query("SELECT key, value FROM labels WHERE checkpoint = ?", sequence);
  Labels labels;
  while (query.Next()) labels[query.String(0)] = query.String(1);
  RETURN_IF_ERROR(query.status());
  return labels;
}

absl::Status UpdateCheckpointRow(SqliteDb& db, int64_t sequence,
                                 const CheckpointUpdate& update,
                                 absl::Time now) {
  if (update.labels.has_value()) {
    RETURN_IF_ERROR(
        db.Run("DELETE FROM labels WHERE checkpoint = ?", sequence));
    RETURN_IF_ERROR(InsertLabels(db, sequence, *update.labels));
  }
  if (!update.expiration.has_value()) return absl::OkStatus();
  return db.Run("UPDATE checkpoints SET expire_time = ? WHERE sequence = ?",
                ExpireNanos(*update.expiration, now), sequence);
}

absl::Status PutAlias(SqliteDb& db, const AliasName& alias, int64_t sequence,
                      absl::Time update_time) {
  return db.Run(
      "INSERT INTO aliases (name, checkpoint, update_time) VALUES (?, ?, ?) "
      "ON CONFLICT (name) DO UPDATE SET "
      "checkpoint = excluded.checkpoint, update_time = excluded.update_time",
      alias.id(), sequence, absl::ToUnixNanos(update_time));
}

absl::StatusOr<std::vector<AliasName>> ReadAliases(SqliteDb& db,
                                                   int64_t sequence) {
  SqliteQuery query = db.Query(
      "SELECT name FROM aliases WHERE checkpoint = ? ORDER BY name", sequence);
  std::vector<AliasName> aliases;
  while (query.Next()) {
    ASSIGN_OR_RETURN(aliases.emplace_back(),
                     ParseStoredName<AliasName>(query.Text(0)));
  }
  RETURN_IF_ERROR(query.status());
  return aliases;
}

}  // namespace warmstart::store
