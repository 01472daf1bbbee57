// TensorMap: a state_dict without values, on its way from a source to the
// target. Rules, combinations and adapters make one of another.

#ifndef WARMSTART_SERVER_PLANNER_TENSOR_MAP_H_
#define WARMSTART_SERVER_PLANNER_TENSOR_MAP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "server/model/derivation.h"

namespace warmstart::planner {

struct NamedTensor {
  std::string key;
  DerivationPtr value;
  std::vector<int> rules;  // indices of those that changed it, in order
  int32_t priority = 0;    // the highest of those rules
};

// In the source's order; keys may be there twice until collisions are checked.
using TensorMap = std::vector<NamedTensor>;

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_TENSOR_MAP_H_
