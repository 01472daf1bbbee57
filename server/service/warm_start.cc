#include "server/service/warm_start.h"

#include <memory>
#include <utility>
#include <vector>

#include "server/base/status_macros.h"
#include "server/service/disk_status.h"
#include "server/service/fresh_tensors.h"
#include "server/service/origin.h"
#include "server/service/stored_result.h"
#include "server/service/value_report.h"
#include "server/service/warm_start_plan.h"

namespace warmstart::service {
namespace {

absl::StatusOr<WarmStartResult> EarlierResult(store::Checkpoint checkpoint) {
  WarmStartResult result;
  ASSIGN_OR_RETURN(result.report, MatchReportFromJson(checkpoint.report_json));
  result.checkpoint = std::move(checkpoint);
  return result;
}

// What is known of a request before its plan is made.
struct Job {
  const WarmStartRequest& request;
  std::optional<AliasName> alias;
  Digest fingerprint;
  ModelPtr model;
  backend::Device device;
  std::vector<SourceCheckpoint> sources;
};

WarmStartOrigin OriginOf(const Job& job, uint64_t seed) {
  WarmStartOrigin origin;
  origin.seed = seed;
  origin.device = job.device.ToString();
  const std::optional<std::string>& recorded = job.request.recorded;
  if (recorded.has_value() && recorded->size() <= kMaxRecordedRequest) {
    origin.request = recorded;
  }
  for (const SourceCheckpoint& source : job.sources) {
    origin.sources.push_back(source.name);
  }
  return origin;
}

absl::StatusOr<store::Checkpoint> Commit(const Job& job, Manifest manifest,
                                         const MatchReport& report,
                                         uint64_t seed, store::Draft& draft) {
  store::NewCheckpoint checkpoint;
  checkpoint.manifest = std::move(manifest);
  ASSIGN_OR_RETURN(checkpoint.architecture,
                   ArchitectureName::Parse(VersionedName(job.model->schema())));
  checkpoint.labels = job.request.options.labels;
  checkpoint.report_json = MatchReportToJson(report);
  checkpoint.origin_json = OriginToJson(OriginOf(job, seed));
  checkpoint.alias = job.alias;
  checkpoint.request_id = job.request.options.request_id;
  checkpoint.request_fingerprint = job.fingerprint;
  checkpoint.expiration = job.request.options.expiration;
  return DiskStatus(draft.Commit(checkpoint));
}

// Executes a plan whose verdict is OK.
absl::StatusOr<WarmStartResult> Execute(const Job& job, planner::Plan plan,
                                        store::Store& store) {
  const std::vector<const Manifest*> manifests = ManifestsOf(job.sources);
  ModelLoad load;
  load.model = job.model.get();
  load.device = job.device;
  load.seed = SeedOrRandom(job.request.seed);
  load.assignments = plan.assignments;
  load.sources = manifests;
  load.count_unchanged = job.request.refuse_non_finite;
  const std::unique_ptr<store::Draft> draft = store.NewDraft();
  absl::StatusOr<LoadedModel> made = LoadModel(load, store, *draft);
  if (!made.ok()) return NameLostSource(made.status(), job.sources);
  LoadedModel loaded = *std::move(made);

  WarmStartResult result;
  result.report = std::move(plan.report);
  ReportCounts(loaded.counts, result.report);
  if (job.request.refuse_non_finite) {
    result.verdict = CheckFinite(loaded.counts, result.report);
    if (!result.verdict.ok()) return result;
  }
  absl::StatusOr<store::Checkpoint> committed =
      Commit(job, std::move(loaded.manifest), result.report, load.seed, *draft);
  // What would only refer to a tensor in quarantine would be born damaged.
  if (!committed.ok()) return NameLostSource(committed.status(), job.sources);
  result.checkpoint = *std::move(committed);
  return result;
}

}  // namespace

absl::StatusOr<WarmStartResult> WarmStart(const Context& context,
                                          const WarmStartRequest& request) {
  Job job{.request = request};
  ASSIGN_OR_RETURN(job.alias, CheckOptions(request.options));
  RETURN_IF_ERROR(CheckCounts(request));
  job.fingerprint = FingerprintOf(request);
  if (!request.validate_only) {
    ASSIGN_OR_RETURN(std::optional<store::Checkpoint> earlier,
                     FindEarlier(*context.store, request.options.request_id,
                                 job.fingerprint));
    if (earlier.has_value()) return EarlierResult(*std::move(earlier));
  }
  RETURN_IF_ERROR(
      CheckExpiration(request.options.expiration, context.clock->Now()));
  ASSIGN_OR_RETURN(job.model,
                   context.architectures->Find(request.architecture));
  ASSIGN_OR_RETURN(
      job.device, ResolveRequestDevice(request.device, context.default_device));
  ASSIGN_OR_RETURN(job.sources, OpenSources(*context.store, request));
  ASSIGN_OR_RETURN(planner::Plan plan,
                   PlanWarmStart(request, job.model->schema(), job.sources));
  if (plan.verdict.ok() && !request.validate_only) {
    return Execute(job, std::move(plan), *context.store);
  }
  WarmStartResult result;
  result.verdict = plan.verdict;
  result.report = std::move(plan.report);
  return result;
}

}  // namespace warmstart::service
