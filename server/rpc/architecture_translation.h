// Architectures and initializers of the API, as the model's. Errors are
// INVALID_ARGUMENT and name the field.

#ifndef WARMSTART_SERVER_RPC_ARCHITECTURE_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_ARCHITECTURE_TRANSLATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/model/architecture.h"
#include "warmstart/v1/architectures.pb.h"

namespace warmstart::rpc {

// `field` is the path of the initializer, for messages.
absl::StatusOr<Initializer> FromProto(const v1::Initializer& proto,
                                      const std::string& field);

// Without the architecture's own validation.
absl::StatusOr<Architecture> FromProto(const v1::Architecture& proto);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_ARCHITECTURE_TRANSLATION_H_
