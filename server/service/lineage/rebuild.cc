#include "server/service/lineage/rebuild.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/parallel.h"
#include "server/base/status_macros.h"
#include "server/model/digest.h"
#include "server/model/initializer.h"
#include "server/planner/plan.h"
#include "server/service/architecture_registry.h"
#include "server/service/fresh_tensors.h"
#include "server/service/warm_start_plan.h"
#include "server/torch/device.h"

namespace warmstart::service {
namespace {

// The digest of the bytes that are stored under `digest`.
absl::StatusOr<Digest> DigestOfStored(store::Store& store,
                                      const Digest& digest) {
  ASSIGN_OR_RETURN(const store::BlobData data, store.OpenBlob(digest));
  return Digest::Of(data.bytes);
}

using Digests = absl::flat_hash_map<Digest, absl::StatusOr<Digest>>;

// Of each tensor, by the digest under which it is stored.
absl::StatusOr<Digests> ReadAll(store::Store& store, const Manifest& manifest,
                                absl::FunctionRef<bool()> cancelled) {
  Digests found;
  for (const ManifestEntry& entry : manifest.entries) {
    found.emplace(entry.digest, absl::CancelledError("nobody waits any more"));
  }
  std::vector<Digests::pointer> work;
  work.reserve(found.size());
  for (auto& tensor : found) work.push_back(&tensor);
  ParallelFor(work.size(), [&](size_t i) {
    if (!cancelled()) work[i]->second = DigestOfStored(store, work[i]->first);
  });
  for (const auto& [digest, read] : found) {
    if (read.ok() || absl::IsDataLoss(read.status())) continue;
    if (!absl::IsNotFound(read.status())) return read.status();
    return absl::AbortedError("it was deleted meanwhile");
  }
  return found;
}

absl::StatusOr<ModelPtr> FindModel(const Context& context,
                                   const store::Checkpoint& checkpoint) {
  if (!checkpoint.architecture.has_value()) {
    return absl::DataLossError("its record names no architecture");
  }
  const std::string name = checkpoint.architecture->ToString();
  absl::StatusOr<ModelPtr> model = context.architectures->Find(name);
  if (absl::IsNotFound(model.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("its architecture, ", name, ", was deleted"));
  }
  return model;
}

// The device that was used, or else the CPU, which then is `other_device`.
absl::StatusOr<backend::Device> FindDevice(const std::string& used,
                                           std::string* other_device) {
  absl::StatusOr<backend::Device> device = backend::ResolveDevice(used);
  if (!absl::IsFailedPrecondition(device.status())) return device;
  const backend::Device cpu;
  *other_device = cpu.ToString();
  return cpu;
}

absl::Status CheckSources(store::Store& store, const WarmStartOrigin& origin) {
  for (const CheckpointName& source : origin.sources) {
    const absl::Status status = store.GetCheckpoint(source).status();
    if (absl::IsNotFound(status)) {
      return absl::FailedPreconditionError(
          absl::StrCat("its source, ", source.ToString(), ", was deleted"));
    }
    RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

// `request` as it was when the checkpoint was made: what it named by aliases,
// or left to the server, as the record has it.
absl::Status Pin(const store::Checkpoint& checkpoint,
                 const WarmStartOrigin& origin, WarmStartRequest& request) {
  if (request.sources.empty()) request.sources.resize(origin.sources.size());
  if (request.sources.size() != origin.sources.size()) {
    return absl::DataLossError("its request is recorded with other sources");
  }
  for (size_t i = 0; i < request.sources.size(); ++i) {
    request.sources[i].checkpoint = origin.sources[i].ToString();
  }
  request.architecture = checkpoint.architecture->ToString();
  request.seed = origin.seed;
  request.device = origin.device;
  return CheckCounts(request);
}

// In a draft that is dropped, and with it what was computed.
absl::StatusOr<Manifest> Load(const ModelLoad& load, store::Store& store) {
  const std::unique_ptr<store::Draft> draft = store.NewDraft();
  ASSIGN_OR_RETURN(LoadedModel loaded, LoadModel(load, store, *draft));
  return std::move(loaded.manifest);
}

bool UsesInitialValues(const MatchReport& report) {
  const absl::string_view stored = InitializerName(StoredInit());
  return std::any_of(
      report.entries.begin(), report.entries.end(),
      [&](const TargetReport& entry) { return entry.initializer == stored; });
}

}  // namespace

absl::StatusOr<Rebuilt> RebuildUpload(const Context& context,
                                      const store::Checkpoint& checkpoint,
                                      absl::FunctionRef<bool()> cancelled) {
  ASSIGN_OR_RETURN(const auto manifest,
                   context.store->GetManifest(checkpoint.name));
  ASSIGN_OR_RETURN(const Digests read,
                   ReadAll(*context.store, *manifest, cancelled));
  Rebuilt rebuilt;
  for (const ManifestEntry& entry : manifest->entries) {
    const absl::StatusOr<Digest>& digest = read.at(entry.digest);
    if (!digest.ok()) continue;
    rebuilt.manifest.entries.push_back(entry);
    rebuilt.manifest.entries.back().digest = *digest;
  }
  return rebuilt;
}

absl::StatusOr<Rebuilt> RebuildFresh(const Context& context,
                                     const store::Checkpoint& checkpoint,
                                     const InitializationOrigin& origin) {
  ASSIGN_OR_RETURN(const ModelPtr model, FindModel(context, checkpoint));
  Rebuilt rebuilt;
  rebuilt.initial_values = model->schema().initial_values;
  const std::vector<planner::Assignment> fresh =
      FreshAssignments(model->schema());
  ModelLoad load;
  load.model = model.get();
  ASSIGN_OR_RETURN(load.device,
                   FindDevice(origin.device, &rebuilt.other_device));
  load.seed = origin.seed;
  load.assignments = fresh;
  ASSIGN_OR_RETURN(rebuilt.manifest, Load(load, *context.store));
  return rebuilt;
}

absl::StatusOr<Rebuilt> RebuildWarmStart(const Context& context,
                                         const store::Checkpoint& checkpoint,
                                         const WarmStartOrigin& origin,
                                         WarmStartRequest request) {
  ASSIGN_OR_RETURN(const ModelPtr model, FindModel(context, checkpoint));
  RETURN_IF_ERROR(CheckSources(*context.store, origin));
  RETURN_IF_ERROR(Pin(checkpoint, origin, request));
  ASSIGN_OR_RETURN(const std::vector<SourceCheckpoint> sources,
                   OpenSources(*context.store, request));
  ASSIGN_OR_RETURN(const planner::Plan plan,
                   PlanWarmStart(request, model->schema(), sources));
  RETURN_IF_ERROR(plan.verdict);
  Rebuilt rebuilt;
  if (UsesInitialValues(plan.report)) {
    rebuilt.initial_values = model->schema().initial_values;
  }
  const std::vector<const Manifest*> manifests = ManifestsOf(sources);
  ModelLoad load;
  load.model = model.get();
  ASSIGN_OR_RETURN(load.device,
                   FindDevice(origin.device, &rebuilt.other_device));
  load.seed = origin.seed;
  load.assignments = plan.assignments;
  load.sources = manifests;
  absl::StatusOr<Manifest> manifest = Load(load, *context.store);
  if (!manifest.ok()) return NameLostSource(manifest.status(), sources);
  rebuilt.manifest = *std::move(manifest);
  return rebuilt;
}

}  // namespace warmstart::service
