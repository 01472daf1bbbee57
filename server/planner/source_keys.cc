#include "server/planner/source_keys.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/error_info.h"

namespace warmstart::planner {
namespace {

// Where training code keeps the model inside a larger file, most usual first.
constexpr absl::string_view kUsualSubtrees[] = {
    "state_dict",        // Lightning, MMEngine, timm, most scripts
    "model",             // DeiT, detectron2, fairseq
    "model_state_dict",  // PyTorch's recipe for general checkpoints
    "model_state",       // Resemblyzer and others
    "module",            // DeepSpeed
    "net",
    "network",
    "weights",
    "params",          // BasicSR
    "state_dict_ema",  // timm
    "model_ema",
    "ema",
    "ema_state_dict",
    "params_ema",  // BasicSR
    "ema_model",
};

// A file with more subtrees than this is not searched further: the search looks
// at every key once for each.
constexpr size_t kMaxCandidates = 64;
constexpr size_t kMaxListed = 5;

// Rank among the usual ones by the last part of the path; -1 for others.
int UsualRank(absl::string_view path) {
  const size_t dot = path.rfind('.');
  const absl::string_view name =
      dot == absl::string_view::npos ? path : path.substr(dot + 1);
  const auto* found =
      std::find(std::begin(kUsualSubtrees), std::end(kUsualSubtrees), name);
  return found == std::end(kUsualSubtrees)
             ? -1
             : static_cast<int>(found - std::begin(kUsualSubtrees));
}

// What a source is selected for.
struct Selector {
  int32_t number;
  const PlanSource& source;
  const KeySelection& selection;
  const Architecture& target;
  const TargetIndex& index;

  absl::StatusOr<RuledTensors> Below(absl::string_view subtree) const {
    const std::vector<ManifestEntry>& entries = source.manifest->entries;
    TensorMap tensors;
    for (size_t i = 0; i < entries.size(); ++i) {
      absl::string_view key = entries[i].key;
      if (!ConsumeSubtree(subtree, &key)) continue;
      if (!selection.include.empty() && !selection.include.Matches(key)) {
        continue;
      }
      if (selection.exclude.Matches(key)) continue;
      tensors.push_back(
          {std::string(key),
           SourceTensor(number, static_cast<int64_t>(i), entries[i].spec)});
    }
    return selection.rules.Apply(number, source, target, index,
                                 std::move(tensors));
  }
};

void Take(RuledTensors ruled, SourceKeys* selected) {
  selected->keys = std::move(ruled.tensors);
  selected->shadowed = std::move(ruled.shadowed);
}

int64_t CountMatches(const TensorMap& keys, const TargetIndex& target) {
  return std::count_if(keys.begin(), keys.end(), [&](const NamedTensor& key) {
    return target.contains(key.key);
  });
}

bool HasKeysBelow(absl::string_view subtree, const Manifest& manifest) {
  return std::any_of(manifest.entries.begin(), manifest.entries.end(),
                     [&](const ManifestEntry& entry) {
                       absl::string_view key = entry.key;
                       return ConsumeSubtree(subtree, &key);
                     });
}

std::string Listed(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kMaxListed);
  std::string text = absl::StrJoin(names.begin(), names.begin() + shown, ", ");
  if (shown < names.size()) {
    absl::StrAppend(&text, " and ", names.size() - shown, " more");
  }
  return text;
}

absl::Status NoSuchSubtree(const PlanSource& source) {
  const std::vector<std::string>& subtrees = source.manifest->subtrees;
  return WithErrorInfo(
      absl::NotFoundError(absl::StrCat(
          source.name, " has no subtree '", source.subtree, "'; ",
          subtrees.empty() ? "its keys are not nested"
                           : absl::StrCat("it has ", Listed(subtrees)))),
      reason::kSubtreeNotFound,
      {{"checkpoint", source.name}, {"subtree", source.subtree}});
}

// Replaces `selected`, the root's keys of which none match, by those of the
// best of the usual subtrees. One that the rules fail on is not meant.
void SearchSubtrees(const Selector& selector, SourceKeys* selected) {
  const PlanSource& source = selector.source;
  const std::vector<std::string>& subtrees = source.manifest->subtrees;
  int64_t best_matches = 0;
  int best_rank = -1;
  std::vector<std::string> unusual;
  for (size_t i = 0; i < std::min(subtrees.size(), kMaxCandidates); ++i) {
    absl::StatusOr<RuledTensors> ruled = selector.Below(subtrees[i]);
    if (!ruled.ok()) continue;
    const int64_t matches = CountMatches(ruled->tensors, selector.index);
    if (matches == 0) continue;
    const int rank = UsualRank(subtrees[i]);
    if (rank < 0) {
      unusual.push_back(absl::StrCat("'", subtrees[i], "' (", matches, ")"));
      continue;
    }
    if (matches > best_matches ||
        (matches == best_matches && rank < best_rank)) {
      best_matches = matches;
      best_rank = rank;
      selected->subtree = subtrees[i];
      Take(*std::move(ruled), selected);
    }
  }
  if (best_rank >= 0) {
    selected->notes.push_back(absl::StrCat(
        source.name, ": took the subtree '", selected->subtree, "', ",
        best_matches, " of whose keys match; no plain key did"));
  } else if (!unusual.empty()) {
    selected->notes.push_back(
        absl::StrCat(source.name, ": no key matches, but some would below ",
                     Listed(unusual), "; name one as the source's subtree"));
  }
}

}  // namespace

bool ConsumeSubtree(absl::string_view subtree, absl::string_view* key) {
  if (subtree.empty()) return true;
  if (!absl::StartsWith(*key, subtree) || key->size() <= subtree.size() ||
      (*key)[subtree.size()] != '.') {
    return false;
  }
  key->remove_prefix(subtree.size() + 1);
  return true;
}

absl::StatusOr<SourceKeys> SelectSourceKeys(int32_t number,
                                            const PlanSource& source,
                                            const KeySelection& selection,
                                            const Architecture& target,
                                            const TargetIndex& index) {
  if (!source.subtree.empty() &&
      !HasKeysBelow(source.subtree, *source.manifest)) {
    return NoSuchSubtree(source);
  }
  const Selector selector{number, source, selection, target, index};
  SourceKeys selected;
  selected.subtree = source.subtree;
  absl::StatusOr<RuledTensors> ruled = selector.Below(source.subtree);
  if (ruled.ok()) Take(*std::move(ruled), &selected);
  if (source.subtree.empty() && CountMatches(selected.keys, index) == 0) {
    SearchSubtrees(selector, &selected);
  }
  if (!ruled.ok() && selected.subtree == source.subtree) return ruled.status();
  return selected;
}

}  // namespace warmstart::planner
