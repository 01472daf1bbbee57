#include "server/service/warm_start.h"

#include <memory>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/service/disk_status.h"
#include "server/service/fresh_tensors.h"
#include "server/service/handles.h"
#include "server/service/origin.h"
#include "server/service/stored_result.h"

namespace warmstart::service {
namespace {

// What a request can make the server hold in memory and try out is bounded:
// each source's manifest is read, each of its keys is matched with each
// pattern, and the report has a line for each.
constexpr size_t kMaxSources = 64;
constexpr size_t kMaxPatterns = 1000;
constexpr size_t kMaxSourceKeys = size_t{1} << 20;

absl::Status CheckCount(absl::string_view field, size_t count, size_t most) {
  if (count <= most) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("there are ", count, ", at most ",
                                          most, " are allowed"));
}

absl::Status CheckCounts(const WarmStartRequest& request) {
  RETURN_IF_ERROR(CheckCount("sources", request.sources.size(), kMaxSources));
  RETURN_IF_ERROR(CheckCount("key_rules", request.rules.size(), kMaxPatterns));
  RETURN_IF_ERROR(CheckCount("include", request.include.size(), kMaxPatterns));
  return CheckCount("exclude", request.exclude.size(), kMaxPatterns);
}

struct SourceCheckpoint {
  CheckpointName name;
  Manifest manifest;
};

struct AddRule {
  Fingerprint& fingerprint;

  void operator()(const RenameRule& rule) const {
    fingerprint.Add(rule.from).Add(rule.to);
  }
  void operator()(const RegexRule& rule) const {
    fingerprint.Add(rule.pattern).Add(rule.replacement);
  }
  void operator()(const StripPrefixRule& rule) const {
    fingerprint.Add(rule.prefix);
  }
  void operator()(const AddPrefixRule& rule) const {
    fingerprint.Add(rule.prefix);
  }
  void operator()(const TemplateRule&) const {}
  void operator()(const ConvertRule&) const {}
};

Digest FingerprintOf(const WarmStartRequest& request) {
  Fingerprint fingerprint;
  fingerprint.Add("WarmStart").Add(request.architecture);
  fingerprint.Add(absl::StrCat(request.sources.size()));
  for (const WarmStartSource& source : request.sources) {
    fingerprint.Add(source.checkpoint).Add(source.subtree);
  }
  fingerprint.Add(absl::StrCat(request.rules.size()));
  for (const KeyRule& rule : request.rules) {
    fingerprint.Add(absl::StrCat(rule.kind.index()));
    std::visit(AddRule{fingerprint}, rule.kind);
  }
  for (const auto* globs : {&request.include, &request.exclude}) {
    fingerprint.Add(absl::StrCat(globs->size()));
    for (const std::string& glob : *globs) fingerprint.Add(glob);
  }
  fingerprint
      .Add(absl::StrCat(request.strict, ",",
                        static_cast<int>(request.on_shape_mismatch), ",",
                        static_cast<int>(request.on_dtype_mismatch), ",",
                        request.min_coverage))
      .Add(request.device)
      .Add(request.seed.has_value() ? absl::StrCat(*request.seed) : "")
      .Add(request.options.labels)
      .Add(request.options.alias);
  return fingerprint.Finish();
}

absl::StatusOr<WarmStartResult> EarlierResult(store::Checkpoint checkpoint) {
  WarmStartResult result;
  ASSIGN_OR_RETURN(result.report, MatchReportFromJson(checkpoint.report_json));
  result.checkpoint = std::move(checkpoint);
  return result;
}

absl::StatusOr<std::vector<SourceCheckpoint>> OpenSources(
    store::Store& store, const WarmStartRequest& request) {
  std::vector<SourceCheckpoint> sources;
  size_t keys = 0;
  for (size_t i = 0; i < request.sources.size(); ++i) {
    const std::string field = absl::StrCat("sources[", i, "].checkpoint");
    ASSIGN_OR_RETURN(
        store::Checkpoint checkpoint,
        FindCheckpoint(store, field, request.sources[i].checkpoint));
    keys += static_cast<size_t>(checkpoint.num_tensors);
    RETURN_IF_ERROR(CheckCount("sources' keys", keys, kMaxSourceKeys));
    ASSIGN_OR_RETURN(Manifest manifest, store.GetManifest(checkpoint.name));
    sources.push_back({checkpoint.name, std::move(manifest)});
  }
  return sources;
}

absl::StatusOr<planner::Plan> PlanOf(
    const WarmStartRequest& request, const Architecture& target,
    const std::vector<SourceCheckpoint>& sources) {
  planner::PlanRequest plan;
  plan.target = &target;
  for (size_t i = 0; i < sources.size(); ++i) {
    plan.sources.push_back({&sources[i].manifest, sources[i].name.ToString(),
                            request.sources[i].subtree});
  }
  plan.rules = request.rules;
  plan.include = request.include;
  plan.exclude = request.exclude;
  plan.strict = request.strict;
  plan.on_shape_mismatch = request.on_shape_mismatch;
  plan.on_dtype_mismatch = request.on_dtype_mismatch;
  plan.min_coverage = request.min_coverage;
  return planner::MakePlan(plan);
}

std::vector<std::optional<LoadedTensor>> LoadedTensors(
    const planner::Plan& plan, const std::vector<SourceCheckpoint>& sources) {
  std::vector<std::optional<LoadedTensor>> loaded;
  loaded.reserve(plan.assignments.size());
  for (const planner::Assignment& assignment : plan.assignments) {
    if (assignment.value == nullptr) {
      loaded.emplace_back();
      continue;
    }
    const SourceOp& source = *AsSourceTensor(*assignment.value);
    loaded.push_back(
        LoadedTensor{sources[source.source].manifest.entries[source.entry],
                     assignment.dtype});
  }
  return loaded;
}

// Executes the plan.
absl::StatusOr<store::Checkpoint> Execute(
    const Context& context, const WarmStartRequest& request,
    const std::optional<AliasName>& alias, const Digest& fingerprint,
    const backend::ModelArchitecture& model, const backend::Device& device,
    const std::vector<SourceCheckpoint>& sources, const planner::Plan& plan) {
  WarmStartOrigin origin;
  origin.seed = SeedOrRandom(request.seed);
  origin.device = device.ToString();
  for (const SourceCheckpoint& source : sources) {
    origin.sources.push_back(source.name);
  }
  const std::unique_ptr<store::Draft> draft = context.store->NewDraft();
  store::NewCheckpoint checkpoint;
  ASSIGN_OR_RETURN(checkpoint.manifest, LoadModel(model, device, origin.seed,
                                                  LoadedTensors(plan, sources),
                                                  *context.store, *draft));
  checkpoint.architecture = model.schema().name;
  checkpoint.labels = request.options.labels;
  checkpoint.report_json = MatchReportToJson(plan.report);
  checkpoint.origin_json = OriginToJson(origin);
  checkpoint.alias = alias;
  checkpoint.request_id = request.options.request_id;
  checkpoint.request_fingerprint = fingerprint;
  return DiskStatus(draft->Commit(checkpoint));
}

}  // namespace

absl::StatusOr<WarmStartResult> WarmStart(const Context& context,
                                          const WarmStartRequest& request) {
  ASSIGN_OR_RETURN(const std::optional<AliasName> alias,
                   CheckOptions(request.options));
  RETURN_IF_ERROR(CheckCounts(request));
  const Digest fingerprint = FingerprintOf(request);
  if (!request.validate_only) {
    ASSIGN_OR_RETURN(
        std::optional<store::Checkpoint> earlier,
        FindEarlier(*context.store, request.options.request_id, fingerprint));
    if (earlier.has_value()) return EarlierResult(*std::move(earlier));
  }
  ASSIGN_OR_RETURN(const ModelPtr model,
                   context.architectures->Find(request.architecture));
  ASSIGN_OR_RETURN(
      const backend::Device device,
      ResolveRequestDevice(request.device, context.default_device));
  ASSIGN_OR_RETURN(const std::vector<SourceCheckpoint> sources,
                   OpenSources(*context.store, request));
  ASSIGN_OR_RETURN(planner::Plan plan,
                   PlanOf(request, model->schema(), sources));

  WarmStartResult result;
  result.verdict = plan.verdict;
  if (plan.verdict.ok() && !request.validate_only) {
    ASSIGN_OR_RETURN(result.checkpoint,
                     Execute(context, request, alias, fingerprint, *model,
                             device, sources, plan));
  }
  result.report = std::move(plan.report);
  return result;
}

}  // namespace warmstart::service
