#include <re2/re2.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/planner/batch_counters.h"
#include "server/planner/matching/rule_finders.h"

namespace warmstart::planner {
namespace {

constexpr size_t kMaxTextBytes = 512;  // of a rule, before quoting

struct Pair {
  size_t position;  // of the source's tensor
  size_t entry;     // of the target
};

// "layer1.0" and "weight" of "layer1.0.weight".
std::pair<absl::string_view, absl::string_view> SplitLeaf(
    absl::string_view key) {
  const size_t dot = key.rfind('.');
  if (dot == absl::string_view::npos) return {"", key};
  return {key.substr(0, dot), key.substr(dot + 1)};
}

bool IsCounter(absl::string_view key) {
  return SplitLeaf(key).second == kBatchCounter;
}

// One side's tensors that have no partner.
struct Side {
  std::vector<size_t> ids;  // positions or entries
  std::vector<absl::string_view> keys;
  std::vector<const Shape*> shapes;

  void Add(size_t id, absl::string_view key, const Shape& shape) {
    ids.push_back(id);
    keys.push_back(key);
    shapes.push_back(&shape);
  }
  int64_t CountCounters() const {
    return std::count_if(keys.begin(), keys.end(), IsCounter);
  }
  Side WithoutCounters() const {
    Side rest;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!IsCounter(keys[i])) rest.Add(ids[i], keys[i], *shapes[i]);
    }
    return rest;
  }
};

struct Sides {
  Side source;
  Side target;
};

Sides OpenSides(const KeyPairing& pairing) {
  Sides sides;
  for (size_t position : pairing.open_sources()) {
    const NamedTensor& tensor = pairing.keys()[position];
    sides.source.Add(position, tensor.key, tensor.value->spec.shape());
  }
  for (size_t i : pairing.open_targets()) {
    const ArchitectureEntry& entry = pairing.target().entries[i];
    sides.target.Add(i, entry.key, entry.spec.shape());
  }
  // Old files have none, and that changes nothing else.
  if (sides.source.CountCounters() != sides.target.CountCounters()) {
    return {sides.source.WithoutCounters(), sides.target.WithoutCounters()};
  }
  return sides;
}

absl::flat_hash_map<absl::string_view, int64_t> CountLeaves(const Side& side) {
  absl::flat_hash_map<absl::string_view, int64_t> counts;
  for (absl::string_view key : side.keys) ++counts[SplitLeaf(key).second];
  return counts;
}

// Whether both are one sequence of shapes. Names of tensors may differ only
// where they are foreign to the other side: what calls a bias "bias" there must
// not take a weight here.
bool AreOneSequence(const Sides& sides) {
  const Side& source = sides.source;
  const Side& target = sides.target;
  if (source.ids.size() != target.ids.size()) return false;
  const auto source_leaves = CountLeaves(source);
  const auto target_leaves = CountLeaves(target);
  for (size_t i = 0; i < source.ids.size(); ++i) {
    if (*source.shapes[i] != *target.shapes[i]) return false;
    const absl::string_view from = SplitLeaf(source.keys[i]).second;
    const absl::string_view to = SplitLeaf(target.keys[i]).second;
    if (from != to &&
        (target_leaves.contains(from) || source_leaves.contains(to))) {
      return false;
    }
  }
  return true;
}

// The tensors of a module, by their place in a side.
struct Module {
  std::vector<size_t> tensors;
  std::string kind;  // equal for modules that have the same tensors
};

std::vector<Module> ModulesOf(const Side& side) {
  std::vector<Module> modules;
  absl::flat_hash_map<absl::string_view, size_t> module_of;
  for (size_t i = 0; i < side.ids.size(); ++i) {
    const auto [path, leaf] = SplitLeaf(side.keys[i]);
    const auto [found, is_new] = module_of.emplace(path, modules.size());
    if (is_new) modules.emplace_back();
    Module& module = modules[found->second];
    module.tensors.push_back(i);
    absl::StrAppend(&module.kind, leaf, side.shapes[i]->ToString(), ";");
  }
  return modules;
}

using Kinds = absl::flat_hash_map<absl::string_view, std::vector<size_t>>;

Kinds KindsOf(const std::vector<Module>& modules) {
  Kinds kinds;
  for (size_t i = 0; i < modules.size(); ++i) {
    kinds[modules[i].kind].push_back(i);
  }
  return kinds;
}

std::vector<Pair> PairModules(const Sides& sides, int64_t* ambiguous) {
  const std::vector<Module> sources = ModulesOf(sides.source);
  const std::vector<Module> targets = ModulesOf(sides.target);
  const Kinds source_kinds = KindsOf(sources);
  absl::flat_hash_map<absl::string_view, size_t> next;  // of each kind
  const Kinds target_kinds = KindsOf(targets);
  std::vector<Pair> pairs;
  for (const Module& target : targets) {
    const auto found = source_kinds.find(target.kind);
    if (found == source_kinds.end()) continue;
    if (found->second.size() != target_kinds.at(target.kind).size()) {
      ++*ambiguous;
      continue;
    }
    const Module& source = sources[found->second[next[target.kind]++]];
    for (size_t i = 0; i < target.tensors.size(); ++i) {
      pairs.push_back({sides.source.ids[source.tensors[i]],
                       sides.target.ids[target.tensors[i]]});
    }
  }
  return pairs;
}

// Puts pairs into rules: one for a module where all of it goes to one place.
class RuleWriter {
 public:
  RuleWriter(const KeyPairing& pairing, const std::vector<Pair>& pairs)
      : pairing_(pairing), pairs_(pairs) {
    for (const NamedTensor& tensor : pairing.keys()) {
      ForEachModule(tensor.key,
                    [&](absl::string_view module) { ++keys_below_[module]; });
    }
    for (size_t i = 0; i < pairs.size(); ++i) {
      const absl::string_view module = SplitLeaf(From(i)).first;
      const auto [found, is_new] = group_of_.emplace(module, groups_.size());
      if (is_new) groups_.emplace_back();
      groups_[found->second].push_back(i);
    }
    // A module's rule would see the keys that rules before it have made.
    for (size_t i = 0; i < pairs.size(); ++i) {
      ForEachModule(To(i), [&](absl::string_view module) {
        if (group_of_.contains(module)) made_.emplace(module, true);
      });
    }
  }

  std::vector<ProposedRule> Write() const {
    std::vector<ProposedRule> proposals;
    for (const std::vector<size_t>& group : groups_) {
      if (IsWholeModule(group)) {
        proposals.push_back(ModuleRule(group));
        continue;
      }
      for (size_t i : group) {
        const std::string& from = From(i);
        const std::string& to = To(i);
        if (from.size() > kMaxTextBytes || to.size() > kMaxTextBytes) continue;
        proposals.push_back({RenameRule{from, to}, {{pairs_[i].position, to}}});
      }
    }
    return proposals;
  }

 private:
  template <typename Visit>
  static void ForEachModule(absl::string_view key, const Visit& visit) {
    for (size_t dot = key.find('.'); dot != absl::string_view::npos;
         dot = key.find('.', dot + 1)) {
      visit(key.substr(0, dot));
    }
  }

  const std::string& From(size_t i) const {
    return pairing_.keys()[pairs_[i].position].key;
  }
  const std::string& To(size_t i) const {
    return pairing_.target().entries[pairs_[i].entry].key;
  }

  bool IsWholeModule(const std::vector<size_t>& group) const {
    const absl::string_view from = SplitLeaf(From(group[0])).first;
    const absl::string_view to = SplitLeaf(To(group[0])).first;
    if (from.empty() || to.empty() || made_.contains(from) ||
        from.size() > kMaxTextBytes || to.size() > kMaxTextBytes) {
      return false;
    }
    if (keys_below_.at(from) != static_cast<int64_t>(group.size())) {
      return false;
    }
    return std::all_of(group.begin(), group.end(), [&](size_t i) {
      const auto [module, leaf] = SplitLeaf(To(i));
      return module == to && leaf == SplitLeaf(From(i)).second;
    });
  }

  ProposedRule ModuleRule(const std::vector<size_t>& group) const {
    const absl::string_view from = SplitLeaf(From(group[0])).first;
    const absl::string_view to = SplitLeaf(To(group[0])).first;
    ProposedRule proposed{
        RegexRule{
            absl::StrCat("^", re2::RE2::QuoteMeta(std::string(from)), "\\."),
            absl::StrCat(absl::StrReplaceAll(to, {{"\\", "\\\\"}}), ".")},
        {}};
    for (size_t i : group) {
      proposed.renames.push_back({pairs_[i].position, To(i)});
    }
    return proposed;
  }

  const KeyPairing& pairing_;
  const std::vector<Pair>& pairs_;
  absl::flat_hash_map<absl::string_view, int64_t> keys_below_;
  absl::flat_hash_map<absl::string_view, size_t> group_of_;  // by module
  std::vector<std::vector<size_t>> groups_;
  absl::flat_hash_map<absl::string_view, bool> made_;
};

}  // namespace

std::vector<ProposedRule> FindStructure(const KeyPairing& pairing,
                                        std::vector<std::string>* notes) {
  const Sides sides = OpenSides(pairing);
  std::vector<Pair> pairs;
  int64_t ambiguous = 0;
  if (AreOneSequence(sides)) {
    for (size_t i = 0; i < sides.source.ids.size(); ++i) {
      pairs.push_back({sides.source.ids[i], sides.target.ids[i]});
    }
  } else {
    pairs = PairModules(sides, &ambiguous);
  }
  if (!pairs.empty()) {
    notes->push_back(absl::StrCat(
        pairs.size(),
        " keys go together by their shapes and their order alone"));
  }
  if (ambiguous > 0) {
    notes->push_back(
        absl::StrCat(ambiguous,
                     " modules of the target could be several of the source by "
                     "their shapes, and were left alone"));
  }
  return RuleWriter(pairing, pairs).Write();
}

}  // namespace warmstart::planner
