// The rows of the SQLite catalog that describe architectures. All functions run
// inside the caller's transaction.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_ARCHITECTURES_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_ARCHITECTURES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/architecture.h"
#include "server/model/resource_name.h"
#include "server/store/sqlite/sqlite_db.h"

namespace warmstart::store {

struct ArchitectureVersion {
  int64_t number = 0;
  bool is_new = false;
};

// The version that an architecture has or, where it is new, is to get.
absl::StatusOr<ArchitectureVersion> ChooseVersion(
    SqliteDb& db, const Architecture& architecture);

// As the methods of Catalog.
absl::StatusOr<int64_t> PutArchitectureRows(SqliteDb& db,
                                            const Architecture& architecture);
absl::StatusOr<Architecture> ReadArchitecture(SqliteDb& db,
                                              const ArchitectureName& name);
absl::StatusOr<std::vector<Architecture>> ReadNewestArchitectures(
    SqliteDb& db, const std::string& after, int limit);
absl::StatusOr<std::vector<Architecture>> ReadArchitectureVersions(
    SqliteDb& db, const ArchitectureName& name, int64_t before, int limit);
absl::Status DeleteArchitectureRows(SqliteDb& db, const ArchitectureName& name,
                                    bool force);

// An architecture whose initial values the checkpoint has; nullopt where there
// is none.
absl::StatusOr<std::optional<ArchitectureName>> FindInitializedBy(
    SqliteDb& db, int64_t checkpoint);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_ARCHITECTURES_H_
