#include "server/planner/source_outcomes.h"

#include <string>
#include <utility>
#include <vector>

#include "server/planner/module_tree.h"

namespace warmstart::planner {
namespace {

// Of several things that became of a tensor, the one to report: it was used,
// if it was used anywhere.
int Rank(SourceOutcome outcome) {
  switch (outcome) {
    case SourceOutcome::kExcluded:
      return 0;
    case SourceOutcome::kUnexpected:
      return 1;
    case SourceOutcome::kShadowed:
      return 2;
    case SourceOutcome::kMismatched:
      return 3;
    case SourceOutcome::kUsed:
      return 4;
  }
  return 0;
}

class Ledger {
 public:
  // Nothing is known of any tensor but that it was not selected.
  explicit Ledger(const PlanRequest& request) {
    for (const PlanSource& source : request.sources) {
      outcomes_.emplace_back(source.manifest->entries.size(),
                             SourceOutcome::kExcluded);
    }
  }

  void Raise(const Derivation& value, SourceOutcome outcome) {
    for (const SourceOp& source : SourcesOf(value)) Raise(source, outcome);
  }
  void Raise(const SourceOp& source, SourceOutcome outcome) {
    SourceOutcome& known = outcomes_[source.source][source.entry];
    if (Rank(outcome) > Rank(known)) known = outcome;
  }

  SourceOutcome Of(const SourceOp& source) const {
    return outcomes_[source.source][source.entry];
  }
  const std::vector<SourceOutcome>& OfSource(size_t s) const {
    return outcomes_[s];
  }

 private:
  std::vector<std::vector<SourceOutcome>> outcomes_;
};

// A tensor with a key of the target that was not used was shadowed.
Ledger FillLedger(const PlanRequest& request,
                  absl::Span<const SourceKeys> sources,
                  const Supplies& supplies, const TargetIndex& target,
                  const Plan& plan) {
  Ledger ledger(request);
  for (const SourceKeys& source : sources) {
    for (const NamedTensor& tensor : source.keys) {
      ledger.Raise(*tensor.value, target.contains(tensor.key)
                                      ? SourceOutcome::kShadowed
                                      : SourceOutcome::kUnexpected);
    }
    for (const SourceOp& tensor : source.shadowed) {
      ledger.Raise(tensor, SourceOutcome::kShadowed);
    }
  }
  for (size_t i = 0; i < plan.assignments.size(); ++i) {
    if (plan.assignments[i].value != nullptr) {
      ledger.Raise(*plan.assignments[i].value, SourceOutcome::kUsed);
    } else if (supplies.entries[i].value != nullptr) {
      ledger.Raise(*supplies.entries[i].value, SourceOutcome::kMismatched);
    }
  }
  return ledger;
}

// The keys of an adapter are none of the target's, and yet expected where they
// were merged.
bool IsUnexpected(const NamedTensor& tensor, bool adapter,
                  const TargetIndex& target, const Ledger& ledger) {
  if (!adapter) return !target.contains(tensor.key);
  const auto sources = SourcesOf(*tensor.value);
  return !sources.empty() &&
         ledger.Of(sources[0]) == SourceOutcome::kUnexpected;
}

}  // namespace

void ReportSources(const PlanRequest& request,
                   absl::Span<const SourceKeys> sources,
                   const Supplies& supplies, const TargetIndex& target,
                   Plan* plan) {
  const Ledger ledger = FillLedger(request, sources, supplies, target, *plan);
  for (size_t s = 0; s < sources.size(); ++s) {
    std::vector<std::string> unexpected;
    for (const NamedTensor& tensor : sources[s].keys) {
      if (IsUnexpected(tensor, request.sources[s].lora.has_value(), target,
                       ledger)) {
        unexpected.push_back(tensor.key);
      }
    }
    if (!unexpected.empty()) {
      for (std::string& key :
           ModuleTree(*request.target).InTorchOrder(unexpected)) {
        plan->report.unexpected_keys.push_back(std::move(key));
      }
    }
    const std::vector<ManifestEntry>& entries =
        request.sources[s].manifest->entries;
    for (size_t i = 0; i < entries.size(); ++i) {
      plan->report.source_entries.push_back(
          {static_cast<int32_t>(s), entries[i].key, ledger.OfSource(s)[i],
           entries[i].spec});
    }
  }
}

}  // namespace warmstart::planner
