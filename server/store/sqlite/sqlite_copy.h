// Copies of a catalog that is in use.

#ifndef WARMSTART_SERVER_STORE_SQLITE_SQLITE_COPY_H_
#define WARMSTART_SERVER_STORE_SQLITE_SQLITE_COPY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/store/snapshot.h"

namespace warmstart::store {

// As Catalog::CopyTo. Reads and writes through connections of its own.
absl::StatusOr<std::vector<SnapshotPack>> CopySqliteCatalog(
    const std::string& from, const std::string& to);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_SQLITE_SQLITE_COPY_H_
