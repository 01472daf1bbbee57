#include "server/store/sqlite/sqlite_copy.h"

#include <memory>

#include "absl/status/status.h"
#include "server/base/status_macros.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {
namespace {

// VACUUM and not the pages as they are: what was deleted does not come along,
// and a page that is damaged is found. It reads one state, as every statement
// does, and takes application_id and user_version with it, but not WAL mode,
// which the next server sets.
absl::Status Copy(const std::string& from, const std::string& to) {
  ASSIGN_OR_RETURN(const std::unique_ptr<SqliteDb> db, SqliteDb::Open(from));
  return db->Run("VACUUM INTO ?", to);
}

}  // namespace

absl::StatusOr<std::vector<SnapshotPack>> CopySqliteCatalog(
    const std::string& from, const std::string& to) {
  RETURN_IF_ERROR(Copy(from, to));
  ASSIGN_OR_RETURN(const std::unique_ptr<SqliteDb> db, SqliteDb::Open(to));
  SqliteQuery query =
      db->Query("SELECT name, num_bytes FROM packs ORDER BY id");
  std::vector<SnapshotPack> packs;
  while (query.Next()) packs.push_back({query.String(0), query.Int(1)});
  RETURN_IF_ERROR(query.status());
  return packs;
}

}  // namespace warmstart::store
