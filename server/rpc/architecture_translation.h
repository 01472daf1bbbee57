// Architectures of the API, from and to the model's. Errors are
// INVALID_ARGUMENT and name the field.

#ifndef WARMSTART_SERVER_RPC_ARCHITECTURE_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_ARCHITECTURE_TRANSLATION_H_

#include "absl/status/statusor.h"
#include "server/model/architecture.h"
#include "warmstart/v1/architectures.pb.h"

namespace warmstart::rpc {

// Without the architecture's own validation, and without initial_values, which
// names a checkpoint.
absl::StatusOr<Architecture> FromProto(const v1::Architecture& proto);

// Without built_in and has_forward.
void ToProto(const Architecture& architecture, v1::Architecture* proto);
void ToProto(const Architecture& architecture, v1::ArchitectureSummary* proto);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_ARCHITECTURE_TRANSLATION_H_
