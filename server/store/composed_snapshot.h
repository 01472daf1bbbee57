// The snapshot of a store, over any pack store and catalog.

#ifndef WARMSTART_SERVER_STORE_COMPOSED_SNAPSHOT_H_
#define WARMSTART_SERVER_STORE_COMPOSED_SNAPSHOT_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/store/catalog.h"
#include "server/store/pack_store.h"
#include "server/store/snapshot.h"

namespace warmstart::store {

// `packs` and `catalog` outlive the snapshot.
absl::StatusOr<std::unique_ptr<Snapshot>> TakeComposedSnapshot(PackStore& packs,
                                                               Catalog& catalog,
                                                               Clock& clock);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_COMPOSED_SNAPSHOT_H_
