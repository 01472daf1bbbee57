#include "server/store/store.h"

#include <utility>

#include "server/base/status_macros.h"
#include "server/store/composed_store.h"
#include "server/store/local/directory_lock.h"
#include "server/store/local/local_pack_store.h"
#include "server/store/local/paths.h"
#include "server/store/sqlite/sqlite_catalog.h"

namespace warmstart::store {

absl::StatusOr<std::unique_ptr<Store>> Store::Open(
    const StoreOptions& options) {
  const StorePaths paths(options.data_dir);
  StoreParts parts;
  parts.clock = options.clock;
  parts.verify_reads = options.verify_reads;
  RETURN_IF_ERROR(options.file_system->CreateDirectory(paths.DataDir()));
  ASSIGN_OR_RETURN(parts.lock, DirectoryLock::Acquire(paths));
  ASSIGN_OR_RETURN(parts.catalog, OpenSqliteCatalog(paths.Catalog()));
  ASSIGN_OR_RETURN(parts.packs,
                   OpenLocalPackStore(paths, *options.file_system));
  return ComposeStore(std::move(parts));
}

}  // namespace warmstart::store
