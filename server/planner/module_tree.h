// ModuleTree: the modules of a target, and the order in which PyTorch walks
// them.

#ifndef WARMSTART_SERVER_PLANNER_MODULE_TREE_H_
#define WARMSTART_SERVER_PLANNER_MODULE_TREE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/architecture.h"

namespace warmstart::planner {

// load_state_dict() visits the modules depth first, and each one lists those
// keys below its prefix that neither it nor a child of its knows. So the order
// of unexpected keys is that of the modules first and of the source second.
class ModuleTree {
 public:
  // The modules that `target` lists, and those that its keys imply.
  explicit ModuleTree(const Architecture& target);

  // The keys of `unexpected`, none of which `target` has, in PyTorch's order.
  std::vector<std::string> InTorchOrder(
      absl::Span<const std::string> unexpected) const;

 private:
  struct Node {
    absl::flat_hash_map<std::string, int> child_of;
    std::vector<int> children;  // in the order of their first appearance
    int position = 0;           // in the walk
  };

  void Insert(absl::string_view module_path);
  void NumberInWalkOrder();
  // Where PyTorch notices that it does not know `key`, as a sort key.
  int64_t PositionOf(absl::string_view key) const;

  std::vector<Node> nodes_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_MODULE_TREE_H_
