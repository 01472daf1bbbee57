#include "server/planner/assign.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/planner/torch_messages.h"
#include "server/planner/value_types.h"

namespace warmstart::planner {
namespace {

// load_state_dict() takes a tensor of one element and one dimension for a
// scalar, as files from before PyTorch 0.4 have it.
bool IsOldScalar(const Shape& source, const Shape& target) {
  return target.rank() == 0 && source.rank() == 1 && source.sizes()[0] == 1;
}

bool IsOfSeveralSources(const TargetReport& report) {
  return std::any_of(report.more_sources.begin(), report.more_sources.end(),
                     [&](const SourceTensorName& name) {
                       return name.source != report.source;
                     });
}

std::string DTypeMessage(absl::string_view key, DType source, DType target) {
  return absl::StrCat("dtype mismatch for ", key, ": the checkpoint has torch.",
                      DTypeName(source), ", the current model has torch.",
                      DTypeName(target), ".");
}

}  // namespace

absl::StatusOr<Assigner> Assigner::Create(const PlanRequest& request,
                                          absl::Span<const KeyRule> rules) {
  ASSIGN_OR_RETURN(AdapterSet adapters, AdapterSet::Create(request));
  ASSIGN_OR_RETURN(InitializerSet initializers,
                   InitializerSet::Create(request));
  return Assigner(request, rules, std::move(adapters), std::move(initializers));
}

std::string Assigner::NameOf(const SourceOp& source) const {
  const std::string& key =
      request_.sources[source.source].manifest->entries[source.entry].key;
  return request_.sources.size() == 1
             ? key
             : absl::StrCat("sources[", source.source, "]:", key);
}

void Assigner::Describe(const Derivation& value, const Supply& supply,
                        TargetReport* report) const {
  for (const SourceOp& source : SourcesOf(value)) {
    const ManifestEntry& entry =
        request_.sources[source.source].manifest->entries[source.entry];
    if (report->source_spec.has_value()) {
      report->more_sources.push_back({source.source, entry.key});
      continue;
    }
    report->source = source.source;
    report->source_key = entry.key;
    report->source_spec = entry.spec;
  }
  for (int rule : supply.rules) {
    report->rules.push_back(KeyRuleToString(rules_[rule]));
  }
}

// By the policy; `own` is the value's.
DType Assigner::ResultDType(const Derivation& value,
                            const ArchitectureEntry& entry) {
  const DType own = OwnDType(value);
  if (own == entry.spec.dtype()) return own;
  if (request_.on_dtype_mismatch == DTypePolicy::kKeep) return own;
  if (request_.on_dtype_mismatch == DTypePolicy::kError) {
    failures_.push_back({reason::kDtypeMismatch,
                         DTypeMessage(entry.key, own, entry.spec.dtype()),
                         {{"key", entry.key}}});
  }
  return entry.spec.dtype();
}

// NOT_FOUND where nothing was asked to make it fit.
absl::StatusOr<Adaptation> Assigner::Fit(const Misfit& misfit) {
  const Shape& source = misfit.value->spec.shape();
  const Shape& target = misfit.target.shape();
  if (source == target) {
    if (auto ordered = adapters_.AdaptOrder(misfit)) return *ordered;
    return Adaptation{misfit.value, ""};
  }
  if (IsOldScalar(source, target)) {
    ASSIGN_OR_RETURN(DerivationPtr scalar,
                     Derive(ReshapeOp{target}, {misfit.value}));
    return Adaptation{std::move(scalar), ""};
  }
  if (auto adapted = adapters_.AdaptShape(misfit)) return *adapted;
  return absl::NotFoundError("");
}

absl::Status Assigner::Assign(size_t i, const Supply& supply,
                              std::string adaptation, Plan* plan) {
  const ArchitectureEntry& entry = request_.target->entries[i];
  TargetReport& report = plan->report.entries[i];
  report.key = entry.key;
  report.kind = entry.kind;
  report.spec = entry.spec;
  report.tied_to = entry.tied_to;
  plan->assignments[i].dtype = entry.spec.dtype();
  if (supply.value == nullptr) return Initialize(i, std::nullopt, plan);

  Describe(*supply.value, supply, &report);
  const size_t failures = failures_.size();
  const DType dtype = ResultDType(*supply.value, entry);
  absl::StatusOr<Adaptation> fitted =
      Fit({entry.key, supply.value, entry.spec, dtype});
  if (!fitted.ok()) {
    failures_.resize(failures);  // of the two mismatches, the shape's counts
    Refuse(i, supply, fitted.status().message(), plan);
    return Initialize(i, std::nullopt, plan);
  }
  if (!adaptation.empty() && !fitted->words.empty()) adaptation += "; ";
  fitted->words = adaptation + fitted->words;
  plan->assignments[i].dtype = dtype;
  return Load(i, *std::move(fitted), OwnDType(*supply.value), plan);
}

absl::Status Assigner::Load(size_t i, Adaptation adaptation, DType own,
                            Plan* plan) {
  const ArchitectureEntry& entry = request_.target->entries[i];
  TargetReport& report = plan->report.entries[i];
  Assignment& assignment = plan->assignments[i];
  if (adaptation.fresh) {
    RETURN_IF_ERROR(Initialize(i, adaptation.initializer, plan));
  }
  report.adaptation = std::move(adaptation.words);
  ASSIGN_OR_RETURN(report.spec,
                   TensorSpec::Create(assignment.dtype, entry.spec.shape()));
  if (IsOfSeveralSources(report)) {
    report.outcome = TargetOutcome::kAveraged;
  } else if (AsSourceTensor(*adaptation.value) == nullptr) {
    report.outcome = TargetOutcome::kAdapted;
  } else if (assignment.dtype != entry.spec.dtype()) {
    report.outcome = TargetOutcome::kKept;
  } else if (own != assignment.dtype) {
    report.outcome = TargetOutcome::kCast;
  } else {
    report.outcome = report.rules.empty() ? TargetOutcome::kMatched
                                          : TargetOutcome::kRenamed;
  }
  if (AsSourceTensor(*adaptation.value) == nullptr) {
    report.derivation = DerivationToString(
        *adaptation.value,
        [this](const SourceOp& source) { return NameOf(source); });
  }
  ASSIGN_OR_RETURN(assignment.value,
                   CastTo(std::move(adaptation.value), assignment.dtype));
  return absl::OkStatus();
}

// A source that does not fit. PyTorch has no policy for that; who drops such
// keys before the load finds them missing after it, and so it is here.
void Assigner::Refuse(size_t i, const Supply& supply, absl::string_view why,
                      Plan* plan) {
  const ArchitectureEntry& entry = request_.target->entries[i];
  MatchReport& report = plan->report;
  const Shape& shape = supply.value->spec.shape();
  report.mismatched_keys.push_back(
      {entry.key, report.entries[i].source_key, shape, entry.spec.shape()});
  if (request_.on_shape_mismatch == ShapePolicy::kSkip) {
    report.missing_keys.push_back(entry.key);
    if (!why.empty()) {
      report.notes.push_back(
          absl::StrCat("'", entry.key, "' was not adapted: ", why));
    }
    return;
  }
  std::string message =
      SizeMismatchMessage(entry.key, shape, entry.spec.shape());
  if (!why.empty()) absl::StrAppend(&message, " Not adapted: ", why, ".");
  failures_.push_back(
      {reason::kShapeMismatch, std::move(message), {{"key", entry.key}}});
}

absl::Status Assigner::Initialize(size_t i,
                                  std::optional<Initializer> initializer,
                                  Plan* plan) {
  const ArchitectureEntry& entry = request_.target->entries[i];
  if (!initializer.has_value()) {
    ASSIGN_OR_RETURN(initializer, initializers_.For(entry));
  }
  TargetReport& report = plan->report.entries[i];
  report.outcome = TargetOutcome::kInitialized;
  report.initializer = std::string(InitializerName(
      initializer.has_value() ? *initializer : entry.initializer));
  plan->assignments[i].initializer = std::move(initializer);
  return absl::OkStatus();
}

}  // namespace warmstart::planner
