#include "server/store/maintenance/collection_plan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "server/store/placement.h"

namespace warmstart::store {
namespace {

// A merged pack is closed before it has more bytes than this many small ones:
// merging again and again what was merged already would cost more than it
// saves.
constexpr int64_t kSmallInMerged = 16;

// What a file costs beside its bytes, about. A pack that alignment would make
// larger by more than this is not worth merging.
constexpr int64_t kFileCost = 4096;

bool IsSparse(const PackUsage& pack, const CollectOptions& options) {
  return static_cast<double>(pack.live_bytes) <
         options.min_live_share * static_cast<double>(pack.num_bytes);
}

bool IsSmall(const PackUsage& pack, const CollectOptions& options) {
  return pack.live_bytes < options.merge_below_bytes &&
         pack.live_bytes <= pack.num_bytes + kFileCost;
}

int64_t MaxMergedBytes(const CollectOptions& options) {
  const int64_t bytes =
      std::min(options.merge_below_bytes,
               std::numeric_limits<int64_t>::max() / kSmallInMerged);
  return std::min(bytes * kSmallInMerged, options.max_written_bytes);
}

// What the fresh pack of a group has with one more.
int64_t NumBytesWith(const PackGroup& group, const PackUsage& pack) {
  return AlignInPack(group.num_bytes) + pack.live_bytes;
}

// Neighbours in the catalog stay together: what came together often goes so.
std::vector<PackGroup> Merge(const std::vector<PackUsage>& small,
                             int64_t max_bytes) {
  std::vector<PackGroup> groups;
  for (const PackUsage& pack : small) {
    if (groups.empty() || NumBytesWith(groups.back(), pack) > max_bytes) {
      groups.emplace_back();
    }
    groups.back().Add(pack);
  }
  return groups;
}

bool HasMoreGain(const PackGroup& a, const PackGroup& b) {
  return std::pair(a.gain, a.packs.size()) > std::pair(b.gain, b.packs.size());
}

}  // namespace

void PackGroup::Add(const PackUsage& pack) {
  const int64_t before = num_bytes;
  num_bytes = NumBytesWith(*this, pack);
  gain += pack.num_bytes - (num_bytes - before);
  packs.push_back(pack);
}

CollectionPlan PlanCollection(const std::vector<PackUsage>& packs,
                              const CollectOptions& options) {
  CollectionPlan plan;
  std::vector<PackGroup> groups;
  std::vector<PackUsage> small;
  for (const PackUsage& pack : packs) {
    if (pack.has_damage) {
      plan.damaged.push_back(pack);
    } else if (IsSmall(pack, options)) {
      small.push_back(pack);
    } else if (IsSparse(pack, options)) {
      groups.emplace_back().Add(pack);
    }
  }
  for (PackGroup& group : Merge(small, MaxMergedBytes(options))) {
    if (group.packs.size() > 1 || IsSparse(group.packs[0], options)) {
      groups.push_back(std::move(group));
    }
  }
  std::stable_sort(groups.begin(), groups.end(), HasMoreGain);
  int64_t budget = options.max_written_bytes;
  for (PackGroup& group : groups) {
    if (group.num_bytes <= budget) {
      budget -= group.num_bytes;
      plan.groups.push_back(std::move(group));
    } else {
      plan.over_budget.insert(plan.over_budget.end(), group.packs.begin(),
                              group.packs.end());
    }
  }
  return plan;
}

}  // namespace warmstart::store
