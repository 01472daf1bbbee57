#include "server/planner/ties.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace warmstart::planner {
namespace {

using Group = std::vector<size_t>;  // entries, in the target's order

// The groups, in the order of their first entries.
std::vector<Group> FindGroups(const Architecture& target) {
  absl::flat_hash_map<absl::string_view, size_t> group_of;
  for (const ArchitectureEntry& entry : target.entries) {
    if (!entry.tied_to.empty()) group_of.emplace(entry.tied_to, 0);
  }
  std::vector<Group> groups;
  for (size_t i = 0; i < target.entries.size() && !group_of.empty(); ++i) {
    const ArchitectureEntry& entry = target.entries[i];
    const auto found =
        group_of.find(entry.tied_to.empty() ? entry.key : entry.tied_to);
    if (found == group_of.end()) continue;
    if (entry.tied_to.empty()) {
      found->second = groups.size();
      groups.emplace_back();
    }
    groups[found->second].push_back(i);
  }
  return groups;
}

// The entry whose assignment all of the group get: the last that is loaded, or
// else the first that is initialised as the request says.
size_t Winner(const Group& group, const Plan& plan) {
  for (auto i = group.rbegin(); i != group.rend(); ++i) {
    if (plan.assignments[*i].value != nullptr) return *i;
  }
  for (size_t i : group) {
    if (plan.assignments[i].initializer.has_value()) return i;
  }
  return group.front();
}

// What the report says of `to`, which shares the values of `from`.
void ShareReport(const TargetReport& from, TargetReport* to) {
  TargetReport shared = from;
  shared.key = std::move(to->key);
  shared.kind = to->kind;
  shared.tied_to = std::move(to->tied_to);
  if (shared.outcome == TargetOutcome::kMatched) {
    shared.outcome = TargetOutcome::kRenamed;
  }
  *to = std::move(shared);
}

}  // namespace

void TieEntries(const Architecture& target, Plan* plan) {
  for (const Group& group : FindGroups(target)) {
    const size_t winner = Winner(group, *plan);
    for (size_t i : group) {
      if (i == winner) continue;
      plan->assignments[i] = plan->assignments[winner];
      ShareReport(plan->report.entries[winner], &plan->report.entries[i]);
    }
  }
}

}  // namespace warmstart::planner
