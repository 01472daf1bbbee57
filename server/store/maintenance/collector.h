// Collector: carries a collection out, over any pack store and catalog. For
// each fresh pack:
//
//   1. copy the live blobs, and compare the copies with their digests
//   2. make the pack's bytes and its name durable
//   3. one catalog transaction: the blobs lie in the fresh pack
//   4. remove the old packs' files
//
// It may be broken off at any step: before 3 is done, the fresh pack is a file
// that nobody references, and after it, the old ones are. Others go on
// meanwhile. Who looked a blob up before 3 and finds its pack gone after 4,
// looks again; what lost its last reference or came anew during 1 and 2, 3
// leaves alone.

#ifndef WARMSTART_SERVER_STORE_MAINTENANCE_COLLECTOR_H_
#define WARMSTART_SERVER_STORE_MAINTENANCE_COLLECTOR_H_

#include <atomic>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/catalog.h"
#include "server/store/maintenance/collection.h"
#include "server/store/maintenance/collection_plan.h"
#include "server/store/pack_builder.h"
#include "server/store/pack_store.h"
#include "server/store/read_verifier.h"

namespace warmstart::store {

// Thread-safe.
class Collector {
 public:
  // All three outlive the collector. `verifier` forgets what is removed.
  Collector(PackStore& packs, Catalog& catalog, ReadVerifier& verifier)
      : packs_(packs), catalog_(catalog), verifier_(verifier) {}

  // As Store::CollectGarbage.
  absl::StatusOr<Collection> Collect(const CollectOptions& options);

 private:
  absl::Status CarryOut(const CollectionPlan& plan,
                        const CollectOptions& options, Collection& collection);
  absl::Status Rewrite(const PackGroup& group, Collection& collection);
  // Steps 2 and 3; as Catalog::MoveBlobs.
  absl::StatusOr<std::vector<PackId>> PutInPlace(
      PackBuilder& fresh, const std::vector<PackId>& old);
  // Files that neither the catalog nor a commit under way has a use for: what
  // could not be removed, and what an INTERNAL left.
  absl::StatusOr<std::vector<PackFile>> FindStrays();
  absl::Status RemoveStrays(Collection& collection);

  PackStore& packs_;
  Catalog& catalog_;
  ReadVerifier& verifier_;
  std::atomic<bool> is_running_ = false;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_MAINTENANCE_COLLECTOR_H_
