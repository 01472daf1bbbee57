#include "server/rpc/lineage_translation.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/rpc/request_translation.h"
#include "server/rpc/response_translation.h"

namespace warmstart::rpc {
namespace {

v1::LineageKind ToProto(service::LineageKind kind) {
  switch (kind) {
    case service::LineageKind::kUploaded:
      return v1::LINEAGE_KIND_UPLOADED;
    case service::LineageKind::kInitialized:
      return v1::LINEAGE_KIND_INITIALIZED;
    case service::LineageKind::kLoaded:
      return v1::LINEAGE_KIND_LOADED;
    case service::LineageKind::kDeleted:
      return v1::LINEAGE_KIND_DELETED;
    case service::LineageKind::kCut:
      return v1::LINEAGE_KIND_CUT;
  }
  return v1::LINEAGE_KIND_UNSPECIFIED;
}

v1::ReproductionVerdict ToProto(service::ReproductionVerdict verdict) {
  switch (verdict) {
    case service::ReproductionVerdict::kAgrees:
      return v1::REPRODUCTION_VERDICT_AGREES;
    case service::ReproductionVerdict::kDiffers:
      return v1::REPRODUCTION_VERDICT_DIFFERS;
    case service::ReproductionVerdict::kCannot:
      return v1::REPRODUCTION_VERDICT_CANNOT;
  }
  return v1::REPRODUCTION_VERDICT_UNSPECIFIED;
}

void ToProto(const service::LineageStep& step, v1::LineageStep* proto) {
  proto->set_checkpoint(step.checkpoint.ToString());
  proto->set_key(step.key);
  proto->set_kind(ToProto(step.kind));
  if (step.outcome.has_value()) {
    proto->set_outcome(rpc::ToProto(*step.outcome));
  }
  if (step.spec.has_value()) {
    proto->set_dtype(std::string(DTypeName(step.spec->dtype())));
    rpc::ToProto(step.spec->shape(), proto->mutable_shape());
  }
  proto->mutable_sources()->Assign(step.sources.begin(), step.sources.end());
  proto->mutable_rules()->Assign(step.rules.begin(), step.rules.end());
  proto->set_derivation(step.derivation);
  proto->set_adaptation(step.adaptation);
  proto->set_initializer(step.initializer);
  if (step.seed.has_value()) proto->set_seed(*step.seed);
  proto->set_tied_to(step.tied_to);
}

void ToProto(const service::LineageCheckpoint& checkpoint,
             v1::LineageCheckpoint* proto) {
  proto->set_name(checkpoint.name.ToString());
  proto->set_deleted(checkpoint.deleted);
  if (checkpoint.record.has_value()) {
    const store::Checkpoint& record = *checkpoint.record;
    if (record.architecture.has_value()) {
      proto->set_architecture(record.architecture->ToString());
    }
    rpc::ToProto(record.create_time, proto->mutable_create_time());
  }
  if (checkpoint.origin.has_value()) {
    rpc::ToProto(*checkpoint.origin, proto->mutable_origin());
  }
}

}  // namespace

absl::StatusOr<service::LineageOptions> FromProto(
    const v1::GetLineageRequest& request) {
  service::LineageOptions options;
  options.keys.assign(request.keys().begin(), request.keys().end());
  ASSIGN_OR_RETURN(const int page_size,
                   PageSize(request.page_size(), 1000, 10000));
  options.page_size = static_cast<size_t>(page_size);
  // A position in the manifest: a checkpoint is immutable.
  uint64_t first = 0;
  if (!request.page_token().empty() &&
      !absl::SimpleAtoi(request.page_token(), &first)) {
    return InvalidField("page_token", "was not given for this checkpoint");
  }
  options.first = first;
  return options;
}

void ToProto(const service::Lineage& lineage, v1::GetLineageResponse* proto) {
  proto->set_checkpoint(lineage.checkpoint.ToString());
  for (const service::TensorLineage& tensor : lineage.tensors) {
    v1::TensorLineage* const added = proto->add_tensors();
    for (const service::LineageStep& step : tensor.steps) {
      ToProto(step, added->add_steps());
    }
  }
  for (const service::LineageCheckpoint& checkpoint : lineage.checkpoints) {
    ToProto(checkpoint, proto->add_checkpoints());
  }
  if (lineage.next.has_value()) {
    proto->set_next_page_token(absl::StrCat(*lineage.next));
  }
}

void ToProto(const service::Reproduction& result,
             v1::ReproduceCheckpointResponse* proto) {
  proto->set_checkpoint(result.checkpoint.ToString());
  proto->set_verdict(ToProto(result.verdict));
  proto->set_reason(result.reason);
  if (result.origin.has_value()) {
    rpc::ToProto(*result.origin, proto->mutable_origin());
  }
  proto->set_key_count(result.num_keys);
  proto->set_differing_key_count(result.num_differing);
  proto->mutable_differing_keys()->Assign(result.differing_keys.begin(),
                                          result.differing_keys.end());
}

}  // namespace warmstart::rpc
