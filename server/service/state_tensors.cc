#include "server/service/state_tensors.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/model/derivation.h"
#include "server/planner/plan.h"
#include "server/store/errors.h"

namespace warmstart::service {
namespace {

absl::StatusOr<planner::Plan> MatchStrictly(const Manifest& manifest,
                                            const CheckpointName& checkpoint,
                                            const Architecture& schema) {
  planner::PlanRequest request;
  request.target = &schema;
  request.sources.push_back({&manifest, checkpoint.ToString()});
  request.strict = true;
  request.on_dtype_mismatch = planner::DTypePolicy::kKeep;
  ASSIGN_OR_RETURN(planner::Plan plan, planner::MakePlan(request));
  RETURN_IF_ERROR(plan.verdict);
  return plan;
}

absl::StatusOr<backend::StateTensor> OpenTensor(store::Store& store,
                                                const ManifestEntry& entry,
                                                const Shape& shape) {
  absl::StatusOr<store::BlobData> data = store.OpenBlob(entry.digest);
  // The manifest that named it was read a moment ago.
  if (absl::IsNotFound(data.status())) {
    return store::SourceDeleted(absl::StrCat("tensor '", entry.key, "'"),
                                entry.digest);
  }
  RETURN_IF_ERROR(data.status());
  ASSIGN_OR_RETURN(const TensorSpec spec,
                   TensorSpec::Create(entry.spec.dtype(), shape));
  return backend::StateTensor{{spec, data->bytes}, std::move(data->owner)};
}

// What a strict load may leave alone: the counter of batches, which checkpoints
// from before it was invented lack. It is 0 in a new module.
absl::StatusOr<backend::StateTensor> Zeros(const TensorSpec& spec) {
  auto values = std::make_shared<const std::string>(spec.num_bytes(), '\0');
  return backend::StateTensor{{spec, *values}, values};
}

}  // namespace

absl::StatusOr<std::vector<backend::StateTensor>> OpenState(
    store::Store& store, const CheckpointName& checkpoint,
    const Architecture& schema) {
  ASSIGN_OR_RETURN(const Manifest manifest, store.GetManifest(checkpoint));
  ASSIGN_OR_RETURN(const planner::Plan plan,
                   MatchStrictly(manifest, checkpoint, schema));
  std::vector<backend::StateTensor> state(schema.entries.size());
  for (size_t i = 0; i < state.size(); ++i) {
    const TensorSpec& spec = schema.entries[i].spec;
    const DerivationPtr& value = plan.assignments[i].value;
    if (value == nullptr) {
      ASSIGN_OR_RETURN(state[i], Zeros(spec));
      continue;
    }
    const SourceOp* const source = AsSourceTensor(WithoutReshapes(*value));
    if (source == nullptr) {
      return absl::InternalError(absl::StrCat(
          "'", schema.entries[i].key, "' is computed by a plan without rules"));
    }
    ASSIGN_OR_RETURN(
        state[i],
        OpenTensor(store, manifest.entries[source->entry], spec.shape()));
  }
  return state;
}

}  // namespace warmstart::service
