#include "server/store/maintenance/collection.h"

#include <utility>

namespace warmstart::store {

void Collection::Add(CollectedPack pack) {
  switch (pack.fate) {
    case PackFate::kRewritten:
      ++num_rewritten;
      break;
    case PackFate::kMerged:
      ++num_merged;
      break;
    case PackFate::kOverBudget:
      ++num_over_budget;
      break;
    case PackFate::kDamaged:
      ++num_damaged;
      break;
    case PackFate::kStray:
      ++num_strays;
      break;
  }
  if (packs.size() < kMaxListedPacks) packs.push_back(std::move(pack));
}

}  // namespace warmstart::store
