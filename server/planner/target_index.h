// TargetIndex: where each key of the target is.

#ifndef WARMSTART_SERVER_PLANNER_TARGET_INDEX_H_
#define WARMSTART_SERVER_PLANNER_TARGET_INDEX_H_

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "server/model/architecture.h"

namespace warmstart::planner {

// Position of each key of the target.
using TargetIndex = absl::flat_hash_map<absl::string_view, int64_t>;

inline TargetIndex IndexOf(const Architecture& target) {
  TargetIndex index;
  index.reserve(target.entries.size());
  for (size_t i = 0; i < target.entries.size(); ++i) {
    index.emplace(target.entries[i].key, static_cast<int64_t>(i));
  }
  return index;
}

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_TARGET_INDEX_H_
