// Which keys of a source take part in a plan, and under which names.

#ifndef WARMSTART_SERVER_PLANNER_SOURCE_KEYS_H_
#define WARMSTART_SERVER_PLANNER_SOURCE_KEYS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/planner/glob.h"
#include "server/planner/key_mapper.h"
#include "server/planner/plan.h"
#include "server/planner/tensor_map.h"

namespace warmstart::planner {

// Position of each key of the target.
using TargetIndex = absl::flat_hash_map<absl::string_view, int64_t>;

// What the request asks of every source alike.
struct KeySelection {
  GlobSet include;
  GlobSet exclude;
  KeyMapper mapper;
};

struct SourceKeys {
  std::string subtree;  // the one taken; "" for the root
  TensorMap keys;       // in the manifest's order; the rest is excluded
  std::vector<std::string> notes;
};

// Takes a subtree's path, and the dot behind it, off `key`; false, and `key` as
// it was, where the key is not below the subtree. "" is the root.
bool ConsumeSubtree(absl::string_view subtree, absl::string_view* key);

// Takes the subtree that the source names. Where it names none and no key of
// the root is one of the target's, takes the subtree among the usual ones
// ("model", "state_dict", ...) that matches most keys, and says so in a note;
// where there is none, a note lists subtrees that would match.
//   NOT_FOUND         the source has no such subtree
//   INVALID_ARGUMENT  two keys end on one; the error names both
absl::StatusOr<SourceKeys> SelectSourceKeys(int32_t index,
                                            const PlanSource& source,
                                            const KeySelection& selection,
                                            const TargetIndex& target);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_SOURCE_KEYS_H_
