#include "server/store/sqlite/sqlite_usage.h"

#include <cstdint>

#include "server/base/status_macros.h"

namespace warmstart::store {
namespace {

// A pack counts whole; a blob without one lies in the catalog.
constexpr char kTriggers[] = R"sql(
CREATE TEMP TRIGGER checkpoint_added AFTER INSERT ON main.checkpoints
BEGIN SELECT count_checkpoints(1); END;
CREATE TEMP TRIGGER checkpoint_removed AFTER DELETE ON main.checkpoints
BEGIN SELECT count_checkpoints(-1); END;

CREATE TEMP TRIGGER pack_added AFTER INSERT ON main.packs
BEGIN SELECT count_bytes(NEW.num_bytes); END;
CREATE TEMP TRIGGER pack_changed AFTER UPDATE OF num_bytes ON main.packs
BEGIN SELECT count_bytes(NEW.num_bytes - OLD.num_bytes); END;
CREATE TEMP TRIGGER pack_removed AFTER DELETE ON main.packs
BEGIN SELECT count_bytes(-OLD.num_bytes); END;

CREATE TEMP TRIGGER small_blob_added AFTER INSERT ON main.blobs
WHEN NEW.pack IS NULL
BEGIN SELECT count_bytes(NEW.num_bytes); END;
CREATE TEMP TRIGGER small_blob_moved AFTER UPDATE OF pack ON main.blobs
WHEN (NEW.pack IS NULL) <> (OLD.pack IS NULL)
BEGIN
  SELECT count_bytes(iif(NEW.pack IS NULL, NEW.num_bytes, -NEW.num_bytes));
END;
CREATE TEMP TRIGGER small_blob_removed AFTER DELETE ON main.blobs
WHEN OLD.pack IS NULL
BEGIN SELECT count_bytes(-OLD.num_bytes); END;
)sql";

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteUsage>> SqliteUsage::Track(SqliteDb& db) {
  auto usage = std::make_unique<SqliteUsage>();
  RETURN_IF_ERROR(
      db.DefineFunction("count_bytes", [usage = usage.get()](int64_t bytes) {
        usage->pending_.stored_bytes += bytes;
      }));
  RETURN_IF_ERROR(db.DefineFunction(
      "count_checkpoints", [usage = usage.get()](int64_t checkpoints) {
        usage->pending_.num_checkpoints += checkpoints;
      }));
  RETURN_IF_ERROR(db.RunScript(kTriggers));
  return usage;
}

absl::StatusOr<UsageChange> SqliteUsage::Measure(SqliteDb& db) {
  SqliteQuery query = db.Query(
      "SELECT (SELECT coalesce(sum(num_bytes), 0) FROM packs), "
      "(SELECT coalesce(sum(num_bytes), 0) FROM blobs WHERE pack IS NULL), "
      "(SELECT count(*) FROM checkpoints)");
  UsageChange all;
  if (query.Next()) {
    all.stored_bytes = query.Int(0) + query.Int(1);
    all.num_checkpoints = query.Int(2);
  }
  RETURN_IF_ERROR(query.status());
  return all;
}

}  // namespace warmstart::store
