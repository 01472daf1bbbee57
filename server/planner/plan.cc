#include "server/planner/plan.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/planner/adapters/widen.h"
#include "server/planner/assign.h"
#include "server/planner/batch_counters.h"
#include "server/planner/combining/combine.h"
#include "server/planner/combining/lora.h"
#include "server/planner/gates.h"
#include "server/planner/matching/auto_match.h"
#include "server/planner/matching/suggest.h"
#include "server/planner/source_keys.h"
#include "server/planner/source_outcomes.h"
#include "server/planner/ties.h"

namespace warmstart::planner {
namespace {

// Makes one plan. The steps, in order: select the sources' keys, bring them
// together with the target's, make one supply of all sources, assign it entry
// by entry, account for what is left, judge.
class Planner {
 public:
  explicit Planner(const PlanRequest& request)
      : request_(request), target_(*request.target), index_(IndexOf(target_)) {
    plan_.report.architecture = VersionedName(target_);
  }

  absl::StatusOr<Plan> Run() &&;

 private:
  absl::Status TakeRules();
  absl::Status SelectKeys();
  void MatchAutomatically();
  absl::StatusOr<Supplies> SupplyEntries();
  absl::StatusOr<Failures> AssignEntries(
      const Supplies& supplies, const std::vector<std::string>& widened);
  void ReportRules();
  void CountCoverage();

  void AddNotes(const std::vector<std::string>& notes) {
    plan_.report.notes.insert(plan_.report.notes.end(), notes.begin(),
                              notes.end());
  }

  const PlanRequest& request_;
  const Architecture& target_;
  TargetIndex index_;
  // The request's, or what undoes them; then those that were found.
  std::vector<KeyRule> rules_;
  size_t given_rules_ = 0;
  std::vector<SourceKeys> sources_;  // one for each source
  Plan plan_;
};

absl::Status Planner::TakeRules() {
  rules_ = request_.rules;
  if (request_.invert_rules) {
    ASSIGN_OR_RETURN(rules_, InvertRules(request_.rules));
  }
  given_rules_ = rules_.size();
  return absl::OkStatus();
}

absl::Status Planner::SelectKeys() {
  ASSIGN_OR_RETURN(GlobSet include,
                   GlobSet::Create("include", request_.include));
  ASSIGN_OR_RETURN(GlobSet exclude,
                   GlobSet::Create("exclude", request_.exclude));
  ASSIGN_OR_RETURN(RuleEngine rules,
                   RuleEngine::Create(rules_, request_.sources.size()));
  const KeySelection selection{std::move(include), std::move(exclude),
                               std::move(rules)};
  for (size_t s = 0; s < request_.sources.size(); ++s) {
    ASSIGN_OR_RETURN(
        SourceKeys keys,
        SelectSourceKeys(static_cast<int32_t>(s), request_.sources[s],
                         selection, target_, index_));
    plan_.report.subtrees.push_back(keys.subtree);
    AddNotes(keys.notes);
    sources_.push_back(std::move(keys));
  }
  return absl::OkStatus();
}

void Planner::MatchAutomatically() {
  if (request_.matching != Matching::kAuto) return;
  for (size_t s = 0; s < sources_.size(); ++s) {
    if (request_.sources[s].lora.has_value()) continue;
    FoundRules found = MatchKeys(
        target_, index_, static_cast<int>(rules_.size()), &sources_[s].keys);
    for (FoundRule& rule : found.rules) {
      if (sources_.size() > 1) rule.rule.source = static_cast<int32_t>(s);
      rules_.push_back(std::move(rule.rule));
    }
    for (const std::string& note : found.notes) {
      AddNotes({absl::StrCat(request_.sources[s].name,
                             ": automatic matching: ", note)});
    }
  }
}

absl::StatusOr<Supplies> Planner::SupplyEntries() {
  ASSIGN_OR_RETURN(Supplies supplies, Combine(request_, sources_, index_));
  for (size_t s = 0; s < sources_.size(); ++s) {
    if (!request_.sources[s].lora.has_value()) continue;
    RETURN_IF_ERROR(MergeLora(request_, s, sources_[s], index_, &supplies));
  }
  return supplies;
}

absl::StatusOr<Failures> Planner::AssignEntries(
    const Supplies& supplies, const std::vector<std::string>& widened) {
  ASSIGN_OR_RETURN(Assigner assigner, Assigner::Create(request_, rules_));
  const BatchCounters counters(request_, sources_);
  plan_.assignments.resize(target_.entries.size());
  plan_.report.entries.resize(target_.entries.size());
  int64_t tolerated = 0;
  for (size_t i = 0; i < target_.entries.size(); ++i) {
    RETURN_IF_ERROR(
        assigner.Assign(i, supplies.entries[i], widened[i], &plan_));
    if (supplies.entries[i].value != nullptr) continue;
    if (counters.Tolerate(target_.entries[i])) {
      ++tolerated;
    } else {
      plan_.report.missing_keys.push_back(target_.entries[i].key);
    }
  }
  AddNotes(assigner.Notes());
  if (tolerated > 0) {
    AddNotes({absl::StrCat(
        tolerated, " ", kBatchCounter,
        " are not in the source, whose BatchNorm modules have no version or "
        "one before 2: initialized and, as in PyTorch, not counted as "
        "missing")});
  }
  return assigner.TakeFailures();
}

void Planner::ReportRules() {
  std::vector<int64_t> uses(rules_.size());
  for (const SourceKeys& source : sources_) {
    for (const NamedTensor& tensor : source.keys) {
      for (int rule : tensor.rules) ++uses[rule];
    }
  }
  for (size_t i = 0; i < uses.size(); ++i) {
    const std::string rule = KeyRuleToString(rules_[i]);
    const bool automatic = i >= given_rules_;
    plan_.report.rules.push_back({rule, uses[i], automatic});
    if (uses[i] == 0) {
      AddNotes({absl::StrCat("the rule ", rule, " applied to no key")});
    }
  }
}

void Planner::CountCoverage() {
  Coverage& coverage = plan_.report.coverage;
  for (size_t i = 0; i < target_.entries.size(); ++i) {
    const TensorSpec& spec = target_.entries[i].spec;
    const bool loaded = plan_.assignments[i].value != nullptr;
    coverage.keys_total += 1;
    coverage.parameters_total += spec.num_elements();
    coverage.bytes_total += spec.num_bytes();
    if (!loaded) continue;
    coverage.keys_loaded += 1;
    coverage.parameters_loaded += spec.num_elements();
    coverage.bytes_loaded += spec.num_bytes();
  }
}

absl::StatusOr<Plan> Planner::Run() && {
  ASSIGN_OR_RETURN(const Gates gates, Gates::Create(request_));
  RETURN_IF_ERROR(CheckCombination(request_));
  RETURN_IF_ERROR(TakeRules());
  RETURN_IF_ERROR(SelectKeys());
  MatchAutomatically();
  ASSIGN_OR_RETURN(Supplies supplies, SupplyEntries());
  ASSIGN_OR_RETURN(const std::vector<std::string> widened,
                   Widen(request_, index_, &supplies));
  AddNotes(supplies.notes);
  ASSIGN_OR_RETURN(Failures failures, AssignEntries(supplies, widened));
  TieEntries(target_, &plan_);
  ReportSources(request_, sources_, supplies, index_, &plan_);
  ReportRules();
  CountCoverage();
  if (request_.matching == Matching::kExact &&
      !plan_.report.missing_keys.empty()) {
    plan_.report.suggestions = SuggestRules(request_, sources_, index_);
  }
  plan_.verdict = gates.Judge(std::move(failures), &plan_);
  return std::move(plan_);
}

}  // namespace

absl::StatusOr<Plan> MakePlan(const PlanRequest& request) {
  if (request.sources.empty()) {
    return InvalidField("sources", "at least one checkpoint is needed");
  }
  return Planner(request).Run();
}

}  // namespace warmstart::planner
