#include "server/store/sqlite/sqlite_schema.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace warmstart::store {
namespace {

// Every foreign key has an index on its own side as well: without one, deleting
// the row that it points to scans the whole table. Entries and storages point
// to their blobs without a foreign key, and blobs count the checkpoints that
// refer to them: an index by blob would make a warm start write to a page of it
// for each tensor, while the counts of tensors that came together lie together.
constexpr char kVersion1[] = R"sql(
CREATE TABLE packs (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  num_bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE blobs (
  id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  num_bytes INTEGER NOT NULL,
  crc32 INTEGER NOT NULL,
  pack INTEGER REFERENCES packs (id),
  offset INTEGER NOT NULL,
  num_references INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX blobs_by_pack ON blobs (pack);

-- The bytes of blobs that lie in no pack. Not a column of theirs: counting a
-- reference writes the whole row.
CREATE TABLE small_blobs (
  blob INTEGER PRIMARY KEY REFERENCES blobs (id) ON DELETE CASCADE,
  bytes BLOB NOT NULL
) STRICT;

-- The empty blob: always there, and lies nowhere.
INSERT INTO blobs (digest, num_bytes, crc32, pack, offset) VALUES (
  x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  0, 0, NULL, 0);

CREATE TABLE checkpoints (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  architecture TEXT NOT NULL,
  create_time INTEGER NOT NULL,
  num_tensors INTEGER NOT NULL,
  num_bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX checkpoints_by_architecture ON checkpoints (architecture);

CREATE TABLE checkpoint_texts (
  checkpoint INTEGER PRIMARY KEY
    REFERENCES checkpoints (sequence) ON DELETE CASCADE,
  report TEXT NOT NULL,
  origin TEXT NOT NULL,
  metadata TEXT NOT NULL
) STRICT;

CREATE TABLE entries (
  checkpoint INTEGER NOT NULL
    REFERENCES checkpoints (sequence) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  key TEXT NOT NULL,
  dtype INTEGER NOT NULL,
  shape TEXT NOT NULL,
  blob INTEGER NOT NULL,
  storage INTEGER,
  storage_offset INTEGER,
  strides TEXT,
  PRIMARY KEY (checkpoint, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE storages (
  checkpoint INTEGER NOT NULL
    REFERENCES checkpoints (sequence) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  blob INTEGER NOT NULL,
  PRIMARY KEY (checkpoint, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE subtrees (
  checkpoint INTEGER NOT NULL
    REFERENCES checkpoints (sequence) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  path TEXT NOT NULL,
  PRIMARY KEY (checkpoint, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE module_versions (
  checkpoint INTEGER NOT NULL
    REFERENCES checkpoints (sequence) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  path TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (checkpoint, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE labels (
  checkpoint INTEGER NOT NULL
    REFERENCES checkpoints (sequence) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (checkpoint, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX labels_by_value ON labels (key, value, checkpoint);

CREATE TABLE aliases (
  name TEXT PRIMARY KEY NOT NULL,
  checkpoint INTEGER NOT NULL REFERENCES checkpoints (sequence),
  update_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_by_checkpoint ON aliases (checkpoint, name);

CREATE TABLE architectures (
  name TEXT PRIMARY KEY NOT NULL,
  schema TEXT NOT NULL
) STRICT;

CREATE TABLE requests (
  request_id TEXT PRIMARY KEY NOT NULL,
  fingerprint BLOB NOT NULL,
  checkpoint INTEGER NOT NULL
    REFERENCES checkpoints (sequence) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_checkpoint ON requests (checkpoint);
)sql";

// Architectures get versions: what was there becomes version 1. So do those
// that checkpoints name and that were deleted since, whose numbers are taken,
// too. Built in were NetA and NetB, which have no versions.
constexpr char kVersion2[] = R"sql(
ALTER TABLE architectures RENAME TO architectures_of_version_1;

CREATE TABLE architectures (
  name TEXT PRIMARY KEY NOT NULL,
  last_version INTEGER NOT NULL
) STRICT;

CREATE TABLE architecture_versions (
  name TEXT NOT NULL REFERENCES architectures (name),
  version INTEGER NOT NULL,
  schema TEXT NOT NULL,
  initial_values INTEGER REFERENCES checkpoints (sequence),
  PRIMARY KEY (name, version)
) STRICT;
CREATE INDEX architecture_versions_by_initial_values
  ON architecture_versions (initial_values);

INSERT INTO architectures (name, last_version)
  SELECT name, 1 FROM architectures_of_version_1
  UNION
  SELECT architecture, 1 FROM checkpoints
    WHERE architecture NOT IN ('', 'NetA', 'NetB');
INSERT INTO architecture_versions (name, version, schema)
  SELECT name, 1, schema FROM architectures_of_version_1;
DROP TABLE architectures_of_version_1;

ALTER TABLE checkpoints
  ADD COLUMN architecture_version INTEGER NOT NULL DEFAULT 0;
UPDATE checkpoints SET architecture_version = 1
  WHERE architecture IN (SELECT name FROM architectures);
CREATE INDEX checkpoints_by_architecture_version
  ON checkpoints (architecture, architecture_version)
  WHERE architecture_version > 0;
)sql";

// When a blob's bytes were found to be damaged or gone, and when a checkpoint
// is to be deleted, both in nanoseconds since 1970. Nearly always NULL, and
// then no page of the indexes is written.
constexpr char kVersion3[] = R"sql(
ALTER TABLE blobs ADD COLUMN damage_time INTEGER;
CREATE INDEX blobs_by_damage_time ON blobs (damage_time)
  WHERE damage_time IS NOT NULL;

ALTER TABLE checkpoints ADD COLUMN expire_time INTEGER;
CREATE INDEX checkpoints_by_expire_time ON checkpoints (expire_time)
  WHERE expire_time IS NOT NULL;
)sql";

// Each start sums the sizes of the blobs without a pack, now without a look at
// their rows. The ids lie before the sizes, since scrubs go by them.
constexpr char kVersion4[] = R"sql(
DROP INDEX blobs_by_pack;
CREATE INDEX blobs_by_pack ON blobs (pack, id, num_bytes);
)sql";

constexpr const char* kMigrations[] = {kVersion1, kVersion2, kVersion3,
                                       kVersion4};

absl::StatusOr<int64_t> ReadInt(SqliteDb& db, absl::string_view sql) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> value, db.FindInt(sql));
  return value.value_or(0);
}

absl::Status CheckApplication(SqliteDb& db) {
  ASSIGN_OR_RETURN(const int64_t application,
                   ReadInt(db, "PRAGMA application_id"));
  if (application == kSqliteApplicationId) return absl::OkStatus();
  ASSIGN_OR_RETURN(const int64_t num_objects,
                   ReadInt(db, "SELECT count(*) FROM sqlite_schema"));
  if (application == 0 && num_objects == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("'", db.path(),
                   "' is a SQLite database, but no Warmstart catalog; choose "
                   "another data directory"));
}

absl::Status TurnWriteAheadLogOn(SqliteDb& db) {
  SqliteQuery query = db.Query("PRAGMA journal_mode = WAL");
  const bool is_on = query.Next() && query.Text(0) == "wal";
  RETURN_IF_ERROR(query.status());
  if (is_on) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("'", db.path(),
                   "' lies on a file system without the shared memory that "
                   "SQLite's write-ahead log needs; use a local disk"));
}

absl::Status Apply(SqliteDb& db, const char* migration, int64_t version) {
  SqliteTransaction transaction(db);
  RETURN_IF_ERROR(transaction.BeginWrite());
  RETURN_IF_ERROR(db.RunScript(migration));
  // PRAGMA takes no bound values.
  RETURN_IF_ERROR(db.RunScript(
      absl::StrCat("PRAGMA application_id = ", kSqliteApplicationId,
                   "; PRAGMA user_version = ", version)));
  return transaction.Commit();
}

}  // namespace

absl::Span<const char* const> SqliteMigrations() { return kMigrations; }

absl::Status MigrateSqliteSchema(SqliteDb& db,
                                 absl::Span<const char* const> migrations) {
  RETURN_IF_ERROR(CheckApplication(db));
  ASSIGN_OR_RETURN(const int64_t version, ReadInt(db, "PRAGMA user_version"));
  const int64_t newest = static_cast<int64_t>(migrations.size());
  if (version < 0 || version > newest) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the catalog '", db.path(), "' has schema version ", version,
        ", but this program knows versions up to ", newest,
        "; use the program that wrote it, or a newer one"));
  }
  RETURN_IF_ERROR(TurnWriteAheadLogOn(db));
  for (int64_t next = version; next < newest; ++next) {
    RETURN_IF_ERROR(Apply(db, migrations[next], next + 1));
  }
  return absl::OkStatus();
}

}  // namespace warmstart::store
