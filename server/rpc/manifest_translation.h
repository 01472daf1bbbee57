// Manifests to and from the API's messages.

#ifndef WARMSTART_SERVER_RPC_MANIFEST_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_MANIFEST_TRANSLATION_H_

#include "absl/status/statusor.h"
#include "server/model/manifest.h"
#include "warmstart/v1/checkpoints.pb.h"

namespace warmstart::rpc {

// With `full`, how it lies in its storage, too.
void ToProto(const ManifestEntry& entry, bool full, v1::ManifestEntry* proto);

// All of a manifest but its entries.
void AddManifestDetails(const Manifest& manifest, v1::Manifest* proto);

// INVALID_ARGUMENT, with the field's path, for a dtype, shape or digest that
// there is not. What the parts have to do with each other is not checked.
absl::StatusOr<Manifest> FromProto(const v1::Manifest& proto);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_MANIFEST_TRANSLATION_H_
