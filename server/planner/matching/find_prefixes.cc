#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/planner/matching/rule_finders.h"

namespace warmstart::planner {
namespace {

// Of torch.compile, FSDP and activation checkpointing: they wrap modules at any
// depth.
constexpr absl::string_view kInnerWrappers[] = {
    "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"};

// Of DataParallel, Lightning and other trainers, PEFT: they wrap the model.
constexpr absl::string_view kOuterWrappers[] = {"base_model.model.", "module.",
                                                "model."};

// What KeyMapper takes.
constexpr size_t kMaxPrefixBytes = 1024;

// `key` without `wrapper`, wherever it is one of its parts.
std::string WithoutPart(absl::string_view key, absl::string_view wrapper) {
  std::string result;
  while (!key.empty()) {
    const size_t dot = key.find('.');
    const bool last = dot == absl::string_view::npos;
    const absl::string_view part = last ? key : key.substr(0, dot);
    if (last || part != wrapper) {
      absl::StrAppend(&result, part, last ? "" : ".");
    }
    key.remove_prefix(last ? key.size() : dot + 1);
  }
  return result;
}

bool HasPart(absl::string_view key, absl::string_view part) {
  return absl::StrContains(absl::StrCat(".", key),
                           absl::StrCat(".", part, "."));
}

bool TargetHasPart(const KeyPairing& pairing, absl::string_view part) {
  const std::vector<ArchitectureEntry>& entries = pairing.target().entries;
  return std::any_of(entries.begin(), entries.end(), [&](const auto& entry) {
    return HasPart(entry.key, part);
  });
}

bool IsOuterWrapper(absl::string_view prefix) {
  while (!prefix.empty()) {
    const bool consumed =
        std::any_of(std::begin(kOuterWrappers), std::end(kOuterWrappers),
                    [&](absl::string_view wrapper) {
                      return absl::ConsumePrefix(&prefix, wrapper);
                    });
    if (!consumed) return false;
  }
  return true;
}

using Votes = absl::flat_hash_map<absl::string_view, int64_t>;

// Calls `visit` with each split of `key` behind a dot.
template <typename Visit>
void ForEachSplit(absl::string_view key, const Visit& visit) {
  for (size_t dot = key.find('.'); dot != absl::string_view::npos;
       dot = key.find('.', dot + 1)) {
    if (dot + 1 > kMaxPrefixBytes) return;
    visit(key.substr(0, dot + 1), key.substr(dot + 1));
  }
}

ProposedRule Strip(const KeyPairing& pairing, const std::string& prefix) {
  ProposedRule proposed{StripPrefixRule{prefix}, {}};
  for (size_t i = 0; i < pairing.keys().size(); ++i) {
    absl::string_view key = pairing.keys()[i].key;
    if (absl::ConsumePrefix(&key, prefix)) {
      proposed.renames.push_back({i, std::string(key)});
    }
  }
  return proposed;
}

// Keys that share their first part, by which a rule can be bound to them.
struct Family {
  std::vector<size_t> positions;
  int64_t gained = 0;
  bool pairs = false;  // one has a partner already
};

std::string FamilyGlob(absl::string_view key) {
  const size_t dot = key.find('.');
  return dot == absl::string_view::npos
             ? std::string(key)
             : absl::StrCat(key.substr(0, dot), ".*");
}

bool IsPlainGlob(absl::string_view glob) {
  absl::ConsumeSuffix(&glob, ".*");
  return glob.find_first_of("*?[") == absl::string_view::npos;
}

// Adds to those families of keys that it helps, and says so in the rule where
// they are not all.
ProposedRule Add(const KeyPairing& pairing, const std::string& prefix) {
  std::vector<std::string> order;
  absl::flat_hash_map<std::string, Family> families;
  for (size_t i = 0; i < pairing.keys().size(); ++i) {
    const std::string& key = pairing.keys()[i].key;
    const std::string glob = FamilyGlob(key);
    const auto [family, is_new] = families.try_emplace(glob);
    if (is_new) order.push_back(glob);
    family->second.positions.push_back(i);
    const std::string to = absl::StrCat(prefix, key);
    family->second.gained +=
        pairing.TargetHas(to) && !pairing.SourceHas(to) ? 1 : 0;
    family->second.pairs = family->second.pairs || pairing.TargetHas(key);
  }
  KeyRule rule = AddPrefixRule{prefix};
  Renames renames;
  for (const std::string& glob : order) {
    const Family& family = families.at(glob);
    const auto size = static_cast<int64_t>(family.positions.size());
    if (family.pairs || family.gained * 2 < size || !IsPlainGlob(glob)) {
      continue;
    }
    rule.keys.push_back(glob);
    for (size_t position : family.positions) {
      renames.push_back(
          {position, absl::StrCat(prefix, pairing.keys()[position].key)});
    }
  }
  if (rule.keys.size() == order.size()) rule.keys.clear();
  return {std::move(rule), std::move(renames)};
}

bool IsGood(const KeyPairing& pairing, const Renames& renames) {
  const size_t gained = pairing.Gained(renames).size();
  return gained > 0 && gained * 2 >= renames.size() &&
         !pairing.LosesPairs(renames) && pairing.KeepsKeysUnique(renames);
}

bool Share(std::vector<size_t> a, std::vector<size_t> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  std::vector<size_t> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(),
                        std::back_inserter(both));
  return !both.empty();
}

std::vector<size_t> Positions(const Renames& renames) {
  std::vector<size_t> positions;
  for (const Rename& rename : renames) positions.push_back(rename.position);
  return positions;
}

// Whether two rules of one kind want the same: to take prefixes off different
// keys for one key of the target, or to add prefixes to one key for several.
bool Compete(const KeyPairing& pairing, bool add, const Renames& a,
             const Renames& b) {
  return add ? Share(Positions(a), Positions(b))
             : Share(pairing.Gained(a), pairing.Gained(b));
}

}  // namespace

std::optional<ProposedRule> FindInnerWrapper(const KeyPairing& pairing) {
  for (absl::string_view wrapper : kInnerWrappers) {
    ProposedRule proposed{
        RegexRule{absl::StrCat("(^|\\.)(?:", wrapper, "\\.)+"), "\\1"}, {}};
    for (size_t i = 0; i < pairing.keys().size(); ++i) {
      const std::string& key = pairing.keys()[i].key;
      if (!HasPart(key, wrapper)) continue;
      proposed.renames.push_back({i, WithoutPart(key, wrapper)});
    }
    if (!proposed.renames.empty() && !TargetHasPart(pairing, wrapper) &&
        pairing.KeepsKeysUnique(proposed.renames)) {
      return proposed;
    }
  }
  return std::nullopt;
}

struct PrefixFinder::Candidate {
  std::string prefix;
  bool add = false;  // to the source's keys; else it is taken away
  int64_t votes = 0;

  std::string Name() const { return absl::StrCat(add ? "+" : "-", prefix); }
  bool IsWrapper() const { return !add && IsOuterWrapper(prefix); }
  // Best first.
  auto Order() const {
    return std::make_tuple(!IsWrapper(), -votes, prefix.size(), add, prefix);
  }
};

std::vector<PrefixFinder::Candidate> PrefixFinder::FindCandidates(
    const KeyPairing& pairing) {
  Votes strip;
  for (size_t position : pairing.open_sources()) {
    ForEachSplit(pairing.keys()[position].key,
                 [&](absl::string_view prefix, absl::string_view rest) {
                   if (pairing.TargetHas(rest) && !pairing.SourceHas(rest)) {
                     ++strip[prefix];
                   }
                 });
  }
  Votes add;
  for (size_t entry : pairing.open_targets()) {
    ForEachSplit(pairing.target().entries[entry].key,
                 [&](absl::string_view prefix, absl::string_view rest) {
                   if (pairing.SourceHas(rest) && !pairing.TargetHas(rest)) {
                     ++add[prefix];
                   }
                 });
  }
  std::vector<Candidate> candidates;
  for (const auto& [prefix, votes] : strip) {
    candidates.push_back({std::string(prefix), false, votes});
  }
  for (const auto& [prefix, votes] : add) {
    candidates.push_back({std::string(prefix), true, votes});
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) {
              return a.Order() < b.Order();
            });
  return candidates;
}

std::optional<ProposedRule> PrefixFinder::Try(const KeyPairing& pairing,
                                              const Candidate& candidate) {
  if (rejected_.contains(candidate.Name()) || tries_left_ == 0) {
    return std::nullopt;
  }
  --tries_left_;
  ProposedRule proposed = candidate.add ? Add(pairing, candidate.prefix)
                                        : Strip(pairing, candidate.prefix);
  if (IsGood(pairing, proposed.renames)) return proposed;
  rejected_.insert(candidate.Name());
  return std::nullopt;
}

bool PrefixFinder::HasRival(const KeyPairing& pairing,
                            const std::vector<Candidate>& candidates, size_t i,
                            const ProposedRule& proposed) {
  const Candidate& candidate = candidates[i];
  if (candidate.IsWrapper()) return false;
  bool has_rival = false;
  for (size_t k = i + 1; k < candidates.size(); ++k) {
    const Candidate& other = candidates[k];
    if (other.add != candidate.add || other.votes * 2 < candidate.votes) {
      continue;
    }
    const std::optional<ProposedRule> rival = Try(pairing, other);
    if (!rival.has_value() ||
        !Compete(pairing, candidate.add, proposed.renames, rival->renames)) {
      continue;
    }
    notes_.push_back(absl::StrCat("'", KeyRuleToString(proposed.rule),
                                  "' and '", KeyRuleToString(rival->rule),
                                  "' would match the same keys; neither was "
                                  "taken"));
    rejected_.insert(other.Name());
    has_rival = true;
  }
  if (has_rival) rejected_.insert(candidate.Name());
  return has_rival;
}

std::optional<ProposedRule> PrefixFinder::Next(const KeyPairing& pairing) {
  const std::vector<Candidate> candidates = FindCandidates(pairing);
  for (size_t i = 0; i < candidates.size(); ++i) {
    std::optional<ProposedRule> proposed = Try(pairing, candidates[i]);
    if (proposed.has_value() && !HasRival(pairing, candidates, i, *proposed)) {
      return proposed;
    }
  }
  return std::nullopt;
}

}  // namespace warmstart::planner
