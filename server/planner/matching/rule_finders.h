// The ways in which rules are found, one by one.

#ifndef WARMSTART_SERVER_PLANNER_MATCHING_RULE_FINDERS_H_
#define WARMSTART_SERVER_PLANNER_MATCHING_RULE_FINDERS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "server/model/key_rule.h"
#include "server/planner/matching/key_pairing.h"

namespace warmstart::planner {

// A rule, and what it does to the keys as they are.
struct ProposedRule {
  KeyRule rule;
  Renames renames;
};

// find_prefixes.cc

// Takes out the name of a wrapper that frameworks put around inner modules
// ("_orig_mod."), at any depth, where the target has no such name.
std::optional<ProposedRule> FindInnerWrapper(const KeyPairing& pairing);

// One prefix that is missing or too many: those of wrappers first
// ("module.model."), then others ("bert."). At least half of the keys that it
// changes must find a partner, and none may lose one. Two that want the same
// keys, and are of like use, are left alone.
class PrefixFinder {
 public:
  std::optional<ProposedRule> Next(const KeyPairing& pairing);
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  struct Candidate;

  static std::vector<Candidate> FindCandidates(const KeyPairing& pairing);
  // What the candidate does, where that is good.
  std::optional<ProposedRule> Try(const KeyPairing& pairing,
                                  const Candidate& candidate);
  // Whether another candidate wants the same keys as candidate `i`, whose rule
  // is `proposed`, and is at least half as good. Rejects both then.
  bool HasRival(const KeyPairing& pairing,
                const std::vector<Candidate>& candidates, size_t i,
                const ProposedRule& proposed);

  // Each try is a look at all keys, and there may be as many prefixes as keys:
  // the best ones are tried.
  int tries_left_ = 64;
  // Prefixes that turned out not to do, with "+" or "-" in front.
  absl::flat_hash_set<std::string> rejected_;
  std::vector<std::string> notes_;
};

// find_suffixes.cc

// As Detectron2 matches: a key of the target takes the source's key that is its
// longest suffix, if the shapes agree. One that would be taken twice, which
// Detectron2 refuses, is left alone.
std::vector<ProposedRule> FindSuffixes(const KeyPairing& pairing,
                                       std::vector<std::string>* notes);

// find_structure.cc

// By shape and order alone: what is left on both sides, where that is the same
// sequence of shapes; else the modules that have the same tensors, where both
// sides have as many of a kind.
std::vector<ProposedRule> FindStructure(const KeyPairing& pairing,
                                        std::vector<std::string>* notes);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_MATCHING_RULE_FINDERS_H_
