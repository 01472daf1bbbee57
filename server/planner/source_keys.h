// Which keys of a source take part in a plan, and under which names.

#ifndef WARMSTART_SERVER_PLANNER_SOURCE_KEYS_H_
#define WARMSTART_SERVER_PLANNER_SOURCE_KEYS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/planner/glob.h"
#include "server/planner/plan.h"
#include "server/planner/rules/rule_engine.h"
#include "server/planner/target_index.h"
#include "server/planner/tensor_map.h"

namespace warmstart::planner {

// What the request asks of every source alike.
struct KeySelection {
  GlobSet include;
  GlobSet exclude;
  RuleEngine rules;
};

struct SourceKeys {
  std::string subtree;  // the one taken; "" for the root
  // In the manifest's order; a conversion's results stand where the first of
  // what they are made of stood. What is neither in here nor shadowed is
  // excluded: it is not below the subtree, or not included, or a template rule
  // leaves it out.
  TensorMap keys;
  std::vector<SourceOp> shadowed;  // another had the key, by priority
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
//   INVALID_ARGUMENT  a rule cannot be applied; two keys end on one, and the
//                     error names both
absl::StatusOr<SourceKeys> SelectSourceKeys(int32_t number,
                                            const PlanSource& source,
                                            const KeySelection& selection,
                                            const Architecture& target,
                                            const TargetIndex& index);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_SOURCE_KEYS_H_
