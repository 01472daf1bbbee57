#include "server/planner/module_tree.h"

#include <algorithm>
#include <numeric>

namespace warmstart::planner {
namespace {

// torch.nn.Module's get_extra_state() is kept under this name; a module that
// does not define it lists the key before all others.
constexpr absl::string_view kExtraState = "_extra_state";

}  // namespace

ModuleTree::ModuleTree(const Architecture& target) : nodes_(1) {
  for (const ModuleVersion& module : target.modules) Insert(module.path);
  for (const ArchitectureEntry& entry : target.entries) {
    const size_t dot = entry.key.rfind('.');
    if (dot != std::string::npos) {
      Insert(absl::string_view(entry.key).substr(0, dot));
    }
  }
  NumberInWalkOrder();
}

void ModuleTree::Insert(absl::string_view module_path) {
  if (module_path.empty()) return;  // the root
  int node = 0;
  for (size_t start = 0; start <= module_path.size();) {
    const size_t dot =
        std::min(module_path.find('.', start), module_path.size());
    const std::string name(module_path.substr(start, dot - start));
    const auto [child, is_new] = nodes_[node].child_of.try_emplace(
        name, static_cast<int>(nodes_.size()));
    const int next = child->second;
    if (is_new) {
      nodes_[node].children.push_back(next);
      nodes_.emplace_back();
    }
    node = next;
    start = dot + 1;
  }
}

void ModuleTree::NumberInWalkOrder() {
  int position = 0;
  std::vector<int> stack = {0};
  while (!stack.empty()) {
    Node& node = nodes_[stack.back()];
    stack.pop_back();
    node.position = position++;
    stack.insert(stack.end(), node.children.rbegin(), node.children.rend());
  }
}

int64_t ModuleTree::PositionOf(absl::string_view key) const {
  int node = 0;
  for (;;) {
    const size_t dot = key.find('.');
    if (dot == absl::string_view::npos) break;
    const auto child = nodes_[node].child_of.find(key.substr(0, dot));
    if (child == nodes_[node].child_of.end()) break;
    node = child->second;
    key.remove_prefix(dot + 1);
  }
  return 2 * static_cast<int64_t>(nodes_[node].position) +
         (key == kExtraState ? 0 : 1);
}

std::vector<std::string> ModuleTree::InTorchOrder(
    absl::Span<const std::string> unexpected) const {
  std::vector<int64_t> positions;
  positions.reserve(unexpected.size());
  for (const std::string& key : unexpected)
    positions.push_back(PositionOf(key));
  std::vector<size_t> order(unexpected.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return positions[a] < positions[b];
  });
  std::vector<std::string> sorted;
  sorted.reserve(unexpected.size());
  for (size_t i : order) sorted.push_back(unexpected[i]);
  return sorted;
}

}  // namespace warmstart::planner
