// CollectionPlan: which packs are worth rewriting. Pure computation on what the
// catalog says of them.

#ifndef WARMSTART_SERVER_STORE_MAINTENANCE_COLLECTION_PLAN_H_
#define WARMSTART_SERVER_STORE_MAINTENANCE_COLLECTION_PLAN_H_

#include <cstdint>
#include <vector>

#include "server/store/catalog.h"
#include "server/store/maintenance/collection.h"

namespace warmstart::store {

// Packs whose live blobs go into one fresh pack, in this order.
struct PackGroup {
  std::vector<PackUsage> packs;
  int64_t num_bytes = 0;  // of the fresh pack
  // By how much the files get smaller; may be negative where packs are merged,
  // by what their alignment takes.
  int64_t gain = 0;

  void Add(const PackUsage& pack);
};

struct CollectionPlan {
  std::vector<PackGroup> groups;  // the greatest gain first
  std::vector<PackUsage> over_budget;
  std::vector<PackUsage> damaged;
};

// Carried out, and planned again, it leaves nothing to do but what did not fit
// into the budget.
CollectionPlan PlanCollection(const std::vector<PackUsage>& packs,
                              const CollectOptions& options);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_MAINTENANCE_COLLECTION_PLAN_H_
