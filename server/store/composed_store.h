// The Store over any pack store and catalog.

#ifndef WARMSTART_SERVER_STORE_COMPOSED_STORE_H_
#define WARMSTART_SERVER_STORE_COMPOSED_STORE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/store/catalog.h"
#include "server/store/local/directory_lock.h"
#include "server/store/pack_store.h"
#include "server/store/store.h"
#include "server/store/uploads/upload_store.h"

namespace warmstart::store {

struct StoreParts {
  // Null where the parts do not need one.
  std::unique_ptr<DirectoryLock> lock;
  std::unique_ptr<PackStore> packs;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<UploadStore> uploads;
  Clock* clock = nullptr;  // outlives the store
  VerifyReads verify_reads = VerifyReads::kFirst;
};

// Sweeps the pack store of what no commit finished, and uploads of what was
// finished, then serves.
absl::StatusOr<std::unique_ptr<Store>> ComposeStore(StoreParts parts);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_COMPOSED_STORE_H_
