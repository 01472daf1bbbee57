// LocalPackStore: packs as files in packs/, staged in staging/, both in one
// data directory and so on one file system: publishing is a rename.

#ifndef WARMSTART_SERVER_STORE_LOCAL_LOCAL_PACK_STORE_H_
#define WARMSTART_SERVER_STORE_LOCAL_LOCAL_PACK_STORE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/base/file_system.h"
#include "server/store/local/paths.h"
#include "server/store/pack_store.h"

namespace warmstart::store {

// Makes the folders where they are missing. `file_system` outlives the result.
absl::StatusOr<std::unique_ptr<PackStore>> OpenLocalPackStore(
    const StorePaths& paths, FileSystem& file_system);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_LOCAL_LOCAL_PACK_STORE_H_
