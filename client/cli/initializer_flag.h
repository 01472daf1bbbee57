// Initializers as people write them in a flag: as InitializerText prints them.

#ifndef WARMSTART_CLIENT_CLI_INITIALIZER_FLAG_H_
#define WARMSTART_CLIENT_CLI_INITIALIZER_FLAG_H_

#include <string>

#include "absl/status/statusor.h"
#include "warmstart/v1/architectures.pb.h"

namespace warmstart::client {

// "xavier_normal" or "trunc_normal(std=0.02, b=1)": a kind and its arguments by
// their names in the API. The name may be left out of an argument that is the
// only one of its kind: "constant(0.5)". Short for some: constant:VALUE,
// normal:STD, uniform:BOUND for both sides. "stored" is refused: its values
// belong to an architecture.
absl::StatusOr<v1::Initializer> ReadInitializer(const std::string& text);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_INITIALIZER_FLAG_H_
