#include "server/planner/rules/collisions.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace warmstart::planner {
namespace {

// "x.w", or what a computed tensor is made of: "q.w', 'k.w' and 3 more".
std::string NamesOf(const PlanSource& source, const NamedTensor& tensor) {
  constexpr size_t kListed = 3;
  const auto made_of = SourcesOf(*tensor.value);
  std::vector<absl::string_view> names;
  for (size_t i = 0; i < std::min(made_of.size(), kListed); ++i) {
    names.push_back(source.manifest->entries[made_of[i].entry].key);
  }
  std::string text = absl::StrCat("'", absl::StrJoin(names, "', '"), "'");
  if (made_of.size() > kListed) {
    absl::StrAppend(&text, " and ", made_of.size() - kListed, " more");
  }
  return text;
}

std::string FirstNameOf(const PlanSource& source, const NamedTensor& tensor) {
  const auto made_of = SourcesOf(*tensor.value);
  return made_of.empty() ? "" : source.manifest->entries[made_of[0].entry].key;
}

}  // namespace

absl::StatusOr<bool> WinsCollision(const PlanSource& source,
                                   const NamedTensor& first,
                                   const NamedTensor& second) {
  if (first.priority != second.priority) {
    return second.priority > first.priority;
  }
  return WithErrorInfo(
      absl::InvalidArgumentError(absl::StrCat(
          source.name, ": the keys ", NamesOf(source, first), " and ",
          NamesOf(source, second), " both become '", first.key,
          "'; change the rules, or exclude one of them")),
      reason::kKeyCollision,
      {{"key", first.key},
       {"first", FirstNameOf(source, first)},
       {"second", FirstNameOf(source, second)}});
}

absl::Status ResolveCollisions(const PlanSource& source, TensorMap* tensors,
                               std::vector<DerivationPtr>* shadowed) {
  absl::flat_hash_map<absl::string_view, size_t> winners;
  winners.reserve(tensors->size());
  std::vector<size_t> lost;
  for (size_t i = 0; i < tensors->size(); ++i) {
    const auto [winner, is_new] = winners.try_emplace((*tensors)[i].key, i);
    if (is_new) continue;
    ASSIGN_OR_RETURN(
        const bool wins,
        WinsCollision(source, (*tensors)[winner->second], (*tensors)[i]));
    lost.push_back(wins ? winner->second : i);
    if (wins) winner->second = i;
  }
  if (lost.empty()) return absl::OkStatus();
  std::sort(lost.begin(), lost.end());
  TensorMap kept;
  for (size_t i = 0, next = 0; i < tensors->size(); ++i) {
    if (next < lost.size() && lost[next] == i) {
      shadowed->push_back((*tensors)[i].value);
      ++next;
    } else {
      kept.push_back(std::move((*tensors)[i]));
    }
  }
  *tensors = std::move(kept);
  return absl::OkStatus();
}

}  // namespace warmstart::planner
