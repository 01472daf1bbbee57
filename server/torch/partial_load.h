// The partial load, which is the same for every kind of architecture but for
// where random numbers come from.

#ifndef WARMSTART_SERVER_TORCH_PARTIAL_LOAD_H_
#define WARMSTART_SERVER_TORCH_PARTIAL_LOAD_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/model/architecture.h"
#include "server/torch/device.h"
#include "server/torch/model_architecture.h"
#include "server/torch/placement.h"

namespace warmstart::backend {

// One call of a function of torch.nn.init in a constructor. The last one that
// an entry is drawn by makes its fresh values; of earlier ones nothing is left
// but the numbers that they took.
struct FreshDraw {
  // More than one where a module was copied after it was drawn: each of them
  // has the values of this draw. They have one spec.
  std::vector<size_t> entries;
  Initializer initializer;
};

// Where the random numbers of fresh values come from.
struct RandomStreams {
  // Each entry has its own stream: KeySeed(seed, key).
  static const RandomStreams kOnePerKey;

  // One stream, from which these are drawn in this order, those that are not
  // needed too: what a torch.nn.Module's constructor does after
  // torch.manual_seed(seed). Each entry is drawn at least once. Borrowed; null
  // where each entry has its own stream.
  const std::vector<FreshDraw>* constructor = nullptr;
};

inline constexpr RandomStreams RandomStreams::kOnePerKey{};

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
