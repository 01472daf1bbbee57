// Finds rules that bring the keys of a source and those of the target together.
//
// What it finds is never more than a rule that a person could have given: the
// prefixes of frameworks' wrappers and of base models, Detectron2's longest
// suffixes, and, where names say nothing, the same shapes in the same order.
// What could be meant in two ways is left alone, and a note says so.

#ifndef WARMSTART_SERVER_PLANNER_MATCHING_AUTO_MATCH_H_
#define WARMSTART_SERVER_PLANNER_MATCHING_AUTO_MATCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "server/model/architecture.h"
#include "server/model/key_rule.h"
#include "server/planner/source_keys.h"
#include "server/planner/tensor_map.h"

namespace warmstart::planner {

struct FoundRule {
  KeyRule rule;
  int64_t renamed = 0;     // keys of the source that it changes
  int64_t keys = 0;        // of the target, that it supplies
  int64_t parameters = 0;  // their elements
};

struct FoundRules {
  std::vector<FoundRule> rules;  // in the order to apply them in
  std::vector<std::string> notes;
};

// Finds rules for `keys`, whose keys are unique, and applies them: each changed
// tensor gets its new key and the rule's index, which is `first_index` for the
// first. Does nothing where each key of the target has its match, or where no
// key of the source is left. Its cost is linear in the keys.
FoundRules MatchKeys(const Architecture& target, const TargetIndex& index,
                     int first_index, TensorMap* keys);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_MATCHING_AUTO_MATCH_H_
