#include "server/service/warm_start_plan.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/service/handles.h"
#include "server/service/lost_tensor.h"

namespace warmstart::service {
namespace {

// Each source's manifest is read, each of its keys is matched with each
// pattern, and the report has a line for each.
constexpr size_t kMaxSourceKeys = size_t{1} << 20;

}  // namespace

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
    ASSIGN_OR_RETURN(auto manifest, store.GetManifest(checkpoint.name));
    sources.push_back({checkpoint.name, std::move(manifest)});
  }
  return sources;
}

std::vector<const Manifest*> ManifestsOf(
    const std::vector<SourceCheckpoint>& sources) {
  std::vector<const Manifest*> manifests;
  manifests.reserve(sources.size());
  for (const SourceCheckpoint& source : sources) {
    manifests.push_back(source.manifest.get());
  }
  return manifests;
}

absl::Status NameLostSource(const absl::Status& status,
                            const std::vector<SourceCheckpoint>& sources) {
  for (const SourceCheckpoint& source : sources) {
    absl::Status named = NameLostTensor(status, source.name, *source.manifest);
    if (named != status) return named;
  }
  return status;
}

absl::StatusOr<planner::Plan> PlanWarmStart(
    const WarmStartRequest& request, const Architecture& target,
    const std::vector<SourceCheckpoint>& sources) {
  planner::PlanRequest plan;
  plan.target = &target;
  for (size_t i = 0; i < sources.size(); ++i) {
    const WarmStartSource& source = request.sources[i];
    plan.sources.push_back({sources[i].manifest.get(),
                            sources[i].name.ToString(), source.subtree,
                            source.weight, source.lora});
  }
  plan.rules = request.rules;
  plan.invert_rules = request.invert_rules;
  plan.include = request.include;
  plan.exclude = request.exclude;
  plan.matching = request.matching;
  plan.combination = request.combination;
  plan.shape_adapters = request.shape_adapters;
  plan.widenings = request.widenings;
  plan.initializers = request.initializers;
  plan.strict = request.strict;
  plan.on_shape_mismatch = request.on_shape_mismatch;
  plan.on_dtype_mismatch = request.on_dtype_mismatch;
  plan.min_coverage = request.min_coverage;
  plan.coverage_gates = request.coverage_gates;
  plan.expected_missing = request.expected_missing;
  plan.expected_unexpected = request.expected_unexpected;
  return planner::MakePlan(plan);
}

}  // namespace warmstart::service
