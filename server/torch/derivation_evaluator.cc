#include "server/torch/derivation_evaluator.h"

#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "server/torch/tensor_ops.h"

namespace warmstart::backend {
namespace {

class Evaluator {
 public:
  Evaluator(const Derivation& root, LeafTensor leaf) : leaf_(leaf) {
    CountUses(root);
  }

  at::Tensor ValueOf(const Derivation& node) {
    Node& state = nodes_.at(&node);
    --state.uses_left;
    if (state.value.defined()) {
      return state.uses_left == 0 ? std::move(state.value) : state.value;
    }
    at::Tensor value = Compute(node);
    if (state.uses_left > 0) state.value = value;
    return value;
  }

 private:
  struct Node {
    int64_t uses_left = 0;
    at::Tensor value;  // while it is wanted again
  };

  void CountUses(const Derivation& node) {
    if (nodes_[&node].uses_left++ > 0) return;
    for (const DerivationPtr& operand : node.operands) CountUses(*operand);
  }

  at::Tensor Compute(const Derivation& node) {
    if (node.operands.empty()) return leaf_(node);
    std::vector<at::Tensor> operands;
    operands.reserve(node.operands.size());
    for (const DerivationPtr& operand : node.operands) {
      operands.push_back(ValueOf(*operand));
    }
    return Apply(node, std::move(operands));
  }

  const LeafTensor leaf_;
  // Complete before the first value is computed, so that references hold.
  absl::flat_hash_map<const Derivation*, Node> nodes_;
};

}  // namespace

at::Tensor Evaluate(const Derivation& value, LeafTensor leaf) {
  return Evaluator(value, leaf).ValueOf(value);
}

}  // namespace warmstart::backend
