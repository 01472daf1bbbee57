// Initializers of the API, from and to the model's.

#ifndef WARMSTART_SERVER_RPC_INITIALIZER_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_INITIALIZER_TRANSLATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/model/initializer.h"
#include "warmstart/v1/architectures.pb.h"

namespace warmstart::rpc {

// `field` is the path of the initializer, for messages. INVALID_ARGUMENT for a
// word that it does not know; the numbers are not checked. A StoredInit has its
// key and no digest.
absl::StatusOr<Initializer> FromProto(const v1::Initializer& proto,
                                      const std::string& field);

void ToProto(const Initializer& initializer, v1::Initializer* proto);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_INITIALIZER_TRANSLATION_H_
