// Lineages and reproductions as messages.

#ifndef WARMSTART_SERVER_RPC_LINEAGE_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_LINEAGE_TRANSLATION_H_

#include "absl/status/statusor.h"
#include "server/service/lineage/lineage.h"
#include "server/service/lineage/reproduce.h"
#include "warmstart/v1/lineage.pb.h"

namespace warmstart::rpc {

// INVALID_ARGUMENT with the field's path.
absl::StatusOr<service::LineageOptions> FromProto(
    const v1::GetLineageRequest& request);

void ToProto(const service::Lineage& lineage, v1::GetLineageResponse* proto);
void ToProto(const service::Reproduction& result,
             v1::ReproduceCheckpointResponse* proto);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_LINEAGE_TRANSLATION_H_
