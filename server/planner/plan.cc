#include "server/planner/plan.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/planner/module_tree.h"
#include "server/planner/source_keys.h"
#include "server/planner/torch_messages.h"

namespace warmstart::planner {
namespace {

// The counter that torch.nn.BatchNorm has since its version 2.
constexpr absl::string_view kBatchCounter = "num_batches_tracked";
constexpr int64_t kCountingVersion = 2;

// load_state_dict() takes a tensor of one element and one dimension for a
// scalar, as files from before PyTorch 0.4 have it.
bool IsOldScalar(const Shape& source, const Shape& target) {
  return target.rank() == 0 && source.rank() == 1 && source.sizes()[0] == 1;
}

int64_t EntryIndex(const NamedTensor& tensor) {
  return AsSourceTensor(*tensor.value)->entry;
}

// Makes one plan. The steps, in order: select the sources' keys, assign them to
// the target's, account for what is left, judge by the policies.
class Planner {
 public:
  explicit Planner(const PlanRequest& request)
      : request_(request), target_(*request.target) {}

  absl::StatusOr<Plan> Run();

 private:
  // A source key that ends on a certain target key.
  struct Candidate {
    int32_t source;
    const NamedTensor* key;
  };

  absl::Status SelectKeys(const TargetIndex& index);
  void CollectCandidates(const TargetIndex& index);
  void AssignEntry(size_t i);
  void LoadEntry(size_t i, const Candidate& candidate);
  void SkipEntry(size_t i, const Candidate& candidate);
  void InitializeEntry(size_t i);
  bool IsTolerated(const ArchitectureEntry& entry) const;
  void FindCountingModules();
  void ReportSources(const TargetIndex& index);
  void ReportRules();
  void CountCoverage();
  void Judge();
  void Fail(absl::string_view reason, std::string message,
            std::map<std::string, std::string> metadata = {});

  const ManifestEntry& EntryOf(const Candidate& candidate) const {
    return request_.sources[candidate.source]
        .manifest->entries[AsSourceTensor(*candidate.key->value)->entry];
  }

  const PlanRequest& request_;
  const Architecture& target_;
  std::vector<SourceKeys> sources_;  // one for each source
  std::vector<std::optional<Candidate>>
      candidates_;  // one for each target entry
  // What each selected source key came to; those not in here are unexpected.
  std::vector<absl::flat_hash_map<int64_t, SourceOutcome>> outcomes_;
  // Modules that a source says are of a version that counts batches.
  absl::flat_hash_set<std::string> counting_modules_;
  std::vector<std::string> errors_;  // PyTorch's error_msgs
  std::string reason_;               // of the first error
  std::map<std::string, std::string> metadata_;
  int64_t tolerated_ = 0;
  Plan plan_;
};

absl::Status Planner::SelectKeys(const TargetIndex& index) {
  ASSIGN_OR_RETURN(GlobSet include,
                   GlobSet::Create("include", request_.include));
  ASSIGN_OR_RETURN(GlobSet exclude,
                   GlobSet::Create("exclude", request_.exclude));
  ASSIGN_OR_RETURN(RuleEngine rules,
                   RuleEngine::Create(request_.rules, request_.sources.size()));
  const KeySelection selection{std::move(include), std::move(exclude),
                               std::move(rules)};
  for (size_t s = 0; s < request_.sources.size(); ++s) {
    ASSIGN_OR_RETURN(
        SourceKeys keys,
        SelectSourceKeys(static_cast<int32_t>(s), request_.sources[s],
                         selection, target_, index));
    plan_.report.subtrees.push_back(keys.subtree);
    plan_.report.notes.insert(plan_.report.notes.end(), keys.notes.begin(),
                              keys.notes.end());
    sources_.push_back(std::move(keys));
  }
  return absl::OkStatus();
}

// The first source that has a target's key supplies it.
void Planner::CollectCandidates(const TargetIndex& index) {
  candidates_.resize(target_.entries.size());
  outcomes_.resize(sources_.size());
  for (size_t s = 0; s < sources_.size(); ++s) {
    for (const NamedTensor& key : sources_[s].keys) {
      const auto found = index.find(key.key);
      if (found == index.end()) continue;
      std::optional<Candidate>& candidate = candidates_[found->second];
      outcomes_[s][EntryIndex(key)] = candidate.has_value()
                                          ? SourceOutcome::kShadowed
                                          : SourceOutcome::kUsed;
      if (!candidate.has_value()) {
        candidate = Candidate{static_cast<int32_t>(s), &key};
      }
    }
  }
}

void Planner::AssignEntry(size_t i) {
  const ArchitectureEntry& entry = target_.entries[i];
  TargetReport& report = plan_.report.entries[i];
  report.key = entry.key;
  report.kind = entry.kind;
  report.spec = entry.spec;
  plan_.assignments[i].dtype = entry.spec.dtype();

  const std::optional<Candidate>& candidate = candidates_[i];
  if (!candidate.has_value()) {
    InitializeEntry(i);
    if (IsTolerated(entry)) {
      ++tolerated_;
    } else {
      plan_.report.missing_keys.push_back(entry.key);
    }
    return;
  }
  const TensorSpec& spec = EntryOf(*candidate).spec;
  report.source = candidate->source;
  report.source_key = EntryOf(*candidate).key;
  report.source_spec = spec;
  for (int rule : candidate->key->rules) {
    report.rules.push_back(KeyRuleToString(request_.rules[rule]));
  }
  if (spec.shape() == entry.spec.shape() ||
      IsOldScalar(spec.shape(), entry.spec.shape())) {
    LoadEntry(i, *candidate);
  } else {
    SkipEntry(i, *candidate);
  }
}

void Planner::LoadEntry(size_t i, const Candidate& candidate) {
  const ArchitectureEntry& entry = target_.entries[i];
  const TensorSpec& source = EntryOf(candidate).spec;
  TargetReport& report = plan_.report.entries[i];
  Assignment& assignment = plan_.assignments[i];
  assignment.value = candidate.key->value;
  report.outcome =
      report.rules.empty() ? TargetOutcome::kMatched : TargetOutcome::kRenamed;
  if (source.dtype() != entry.spec.dtype()) {
    switch (request_.on_dtype_mismatch) {
      case DTypePolicy::kCast:
        report.outcome = TargetOutcome::kCast;
        break;
      case DTypePolicy::kKeep:
        report.outcome = TargetOutcome::kKept;
        assignment.dtype = source.dtype();
        report.spec =
            TensorSpec::Create(source.dtype(), entry.spec.shape()).value();
        break;
      case DTypePolicy::kError:
        report.outcome = TargetOutcome::kCast;
        Fail(reason::kDtypeMismatch,
             absl::StrCat("dtype mismatch for ", entry.key,
                          ": the checkpoint has torch.",
                          DTypeName(source.dtype()),
                          ", the current model has torch.",
                          DTypeName(entry.spec.dtype()), "."),
             {{"key", entry.key}});
        break;
    }
  }
  if (source.shape() != entry.spec.shape()) {
    report.outcome = TargetOutcome::kAdapted;
  }
}

// A source that does not fit. PyTorch has no policy for that; who drops such
// keys before the load finds them missing after it, and so it is here.
void Planner::SkipEntry(size_t i, const Candidate& candidate) {
  const ArchitectureEntry& entry = target_.entries[i];
  const ManifestEntry& source = EntryOf(candidate);
  InitializeEntry(i);
  outcomes_[candidate.source][EntryIndex(*candidate.key)] =
      SourceOutcome::kMismatched;
  plan_.report.mismatched_keys.push_back(
      {entry.key, source.key, source.spec.shape(), entry.spec.shape()});
  if (request_.on_shape_mismatch == ShapePolicy::kSkip) {
    plan_.report.missing_keys.push_back(entry.key);
  } else {
    Fail(
        reason::kShapeMismatch,
        SizeMismatchMessage(entry.key, source.spec.shape(), entry.spec.shape()),
        {{"key", entry.key}});
  }
}

void Planner::InitializeEntry(size_t i) {
  TargetReport& report = plan_.report.entries[i];
  report.outcome = TargetOutcome::kInitialized;
  report.initializer =
      std::string(InitializerName(target_.entries[i].initializer));
}

// BatchNorm has counted its batches since version 2. PyTorch does not miss the
// counter in a state_dict that is older, or that has lost its versions, as a
// plain dict has.
bool Planner::IsTolerated(const ArchitectureEntry& entry) const {
  const absl::string_view key = entry.key;
  if (entry.kind != EntryKind::kBuffer || !absl::EndsWith(key, kBatchCounter)) {
    return false;
  }
  const absl::string_view rest =
      key.substr(0, key.size() - kBatchCounter.size());
  if (!rest.empty() && rest.back() != '.') return false;
  return !counting_modules_.contains(
      rest.empty() ? rest : rest.substr(0, rest.size() - 1));
}

void Planner::FindCountingModules() {
  for (size_t s = 0; s < sources_.size(); ++s) {
    for (const ModuleVersion& module :
         request_.sources[s].manifest->module_versions) {
      absl::string_view path = module.path;
      const std::string& subtree = sources_[s].subtree;
      if (module.version < kCountingVersion) continue;
      if (path == subtree) {
        counting_modules_.emplace();
      } else if (ConsumeSubtree(subtree, &path)) {
        counting_modules_.emplace(path);
      }
    }
  }
}

void Planner::ReportSources(const TargetIndex& index) {
  const ModuleTree tree(target_);
  for (size_t s = 0; s < sources_.size(); ++s) {
    const Manifest& manifest = *request_.sources[s].manifest;
    std::vector<SourceOutcome> outcomes(manifest.entries.size(),
                                        SourceOutcome::kExcluded);
    std::vector<std::string> unexpected;
    for (const NamedTensor& key : sources_[s].keys) {
      const auto found = outcomes_[s].find(EntryIndex(key));
      outcomes[EntryIndex(key)] = found != outcomes_[s].end()
                                      ? found->second
                                      : SourceOutcome::kUnexpected;
      if (!index.contains(key.key)) unexpected.push_back(key.key);
    }
    for (std::string& key : tree.InTorchOrder(unexpected)) {
      plan_.report.unexpected_keys.push_back(std::move(key));
    }
    for (size_t i = 0; i < manifest.entries.size(); ++i) {
      plan_.report.source_entries.push_back(
          {static_cast<int32_t>(s), manifest.entries[i].key, outcomes[i],
           manifest.entries[i].spec});
    }
  }
}

void Planner::ReportRules() {
  std::vector<int64_t> uses(request_.rules.size());
  for (const SourceKeys& source : sources_) {
    for (const NamedTensor& key : source.keys) {
      for (int rule : key.rules) ++uses[rule];
    }
  }
  for (size_t i = 0; i < uses.size(); ++i) {
    const std::string rule = KeyRuleToString(request_.rules[i]);
    plan_.report.rules.push_back({rule, uses[i]});
    if (uses[i] == 0) {
      plan_.report.notes.push_back(
          absl::StrCat("the rule ", rule, " applied to no key"));
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

void Planner::Fail(absl::string_view reason, std::string message,
                   std::map<std::string, std::string> metadata) {
  if (errors_.empty()) {
    reason_ = std::string(reason);
    metadata_ = std::move(metadata);
  }
  errors_.push_back(std::move(message));
}

void Planner::Judge() {
  MatchReport& report = plan_.report;
  if (request_.strict) {
    // PyTorch puts these two first, missing before unexpected.
    std::vector<std::string> strict_errors;
    if (!report.missing_keys.empty()) {
      strict_errors.push_back(MissingKeysMessage(report.missing_keys));
    }
    if (!report.unexpected_keys.empty()) {
      strict_errors.push_back(UnexpectedKeysMessage(report.unexpected_keys));
    }
    if (!strict_errors.empty()) {
      errors_.insert(errors_.begin(), strict_errors.begin(),
                     strict_errors.end());
      reason_ = reason::kStrictNotMet;
      metadata_.clear();
    }
  }
  if (tolerated_ > 0) {
    report.notes.push_back(absl::StrCat(
        tolerated_, " ", kBatchCounter,
        " are not in the source, whose BatchNorm modules have no version or "
        "one "
        "before 2: initialized and, as in PyTorch, not counted as missing"));
  }
  report.summary =
      errors_.empty()
          ? IncompatibleKeysRepr(report.missing_keys, report.unexpected_keys)
          : LoadingErrorMessage(target_.name, errors_);
  std::string message = errors_.empty() ? "" : report.summary;
  if (const double fraction = report.coverage.ParameterFraction();
      fraction < request_.min_coverage) {
    if (errors_.empty()) {
      reason_ = reason::kCoverageNotMet;
      metadata_ = {{"coverage", absl::StrCat(fraction)},
                   {"min_coverage", absl::StrCat(request_.min_coverage)}};
    }
    absl::StrAppend(&message, message.empty() ? "" : "\n",
                    "coverage: ", report.coverage.parameters_loaded, " of ",
                    report.coverage.parameters_total, " parameters (", fraction,
                    ") were loaded, less than the minimum coverage of ",
                    request_.min_coverage);
  }
  if (!message.empty()) {
    plan_.verdict = WithErrorInfo(absl::FailedPreconditionError(message),
                                  reason_, metadata_);
  }
}

absl::StatusOr<Plan> Planner::Run() {
  TargetIndex index;
  for (size_t i = 0; i < target_.entries.size(); ++i) {
    index.emplace(target_.entries[i].key, static_cast<int64_t>(i));
  }
  plan_.report.architecture = target_.name;
  RETURN_IF_ERROR(SelectKeys(index));
  FindCountingModules();
  CollectCandidates(index);
  plan_.assignments.resize(target_.entries.size());
  plan_.report.entries.resize(target_.entries.size());
  for (size_t i = 0; i < target_.entries.size(); ++i) AssignEntry(i);
  ReportSources(index);
  ReportRules();
  CountCoverage();
  Judge();
  return std::move(plan_);
}

}  // namespace

absl::StatusOr<Plan> MakePlan(const PlanRequest& request) {
  if (request.sources.empty()) {
    return InvalidField("sources", "at least one checkpoint is needed");
  }
  if (!(request.min_coverage >= 0 && request.min_coverage <= 1)) {
    return InvalidField("min_coverage",
                        absl::StrCat(request.min_coverage,
                                     " is not a fraction between 0 and 1"));
  }
  return Planner(request).Run();
}

}  // namespace warmstart::planner
