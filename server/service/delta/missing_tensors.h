// FindMissingTensors: what a client has to send of a model that it holds.

#ifndef WARMSTART_SERVER_SERVICE_DELTA_MISSING_TENSORS_H_
#define WARMSTART_SERVER_SERVICE_DELTA_MISSING_TENSORS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/digest.h"
#include "server/store/store.h"

namespace warmstart::service {

// Digests of a request, from their hexadecimal form. INVALID_ARGUMENT, with the
// field `digests`, where one cannot be read or there are too many.
absl::StatusOr<std::vector<Digest>> ParseDigests(
    const std::vector<std::string>& digests);

// Those of `digests` that the store does not hold, in their order, each once.
absl::StatusOr<std::vector<Digest>> FindMissingTensors(
    store::Store& store, absl::Span<const Digest> digests);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_DELTA_MISSING_TENSORS_H_
