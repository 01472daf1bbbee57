// Failures: what keeps a plan from being executed.

#ifndef WARMSTART_SERVER_PLANNER_FAILURES_H_
#define WARMSTART_SERVER_PLANNER_FAILURES_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace warmstart::planner {

// In the order in which load_state_dict() would find them.
struct Failure {
  std::string reason;   // of base/error_info.h
  std::string message;  // PyTorch's, where it has one
  std::map<std::string, std::string> metadata = {};
};
using Failures = std::vector<Failure>;

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_FAILURES_H_
