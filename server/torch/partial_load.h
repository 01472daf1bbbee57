// The partial load, which is the same for every kind of architecture but for
// where random numbers come from.

#ifndef WARMSTART_SERVER_TORCH_PARTIAL_LOAD_H_
#define WARMSTART_SERVER_TORCH_PARTIAL_LOAD_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/model/architecture.h"
#include "server/torch/device.h"
#include "server/torch/model_architecture.h"
#include "server/torch/placement.h"

namespace warmstart::backend {

enum class RandomStreams {
  // One generator draws the entries in the schema's order, those that are not
  // needed too: what a torch.nn.Module's constructor does after
  // torch.manual_seed(seed).
  kOneInOrder,
  // Each entry has its own: KeySeed(seed, key).
  kOnePerKey,
};

// ModelArchitecture::PartialLoad for `schema`.
absl::Status RunPartialLoad(const Architecture& schema, RandomStreams streams,
                            const Device& device, uint64_t seed,
                            absl::Span<const LoadEntry> entries,
                            SourceTensors sources);

// The same at a given place; for tests of devices that are not there.
absl::Status RunPartialLoadAt(Placement& placement, const Architecture& schema,
                              RandomStreams streams, uint64_t seed,
                              absl::Span<const LoadEntry> entries,
                              SourceTensors sources);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_PARTIAL_LOAD_H_
