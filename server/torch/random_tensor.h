// Random tensors: inputs for a smoke test of a model.

#ifndef WARMSTART_SERVER_TORCH_RANDOM_TENSOR_H_
#define WARMSTART_SERVER_TORCH_RANDOM_TENSOR_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "server/model/tensor_spec.h"
#include "server/torch/model_architecture.h"

namespace warmstart::backend {

// Draws on the CPU from a generator of its own, with the bits of Python's
//   torch.randn(shape, dtype=dtype, generator=generator), or, for integers,
//   torch.randint(high, shape, dtype=dtype, generator=generator)
// after generator.manual_seed(seed). `high` counts for integers alone.
//   INVALID_ARGUMENT    LibTorch draws none of this dtype, or not up to `high`
//   RESOURCE_EXHAUSTED  out of memory
absl::StatusOr<OwnedTensor> DrawRandomTensor(const TensorSpec& spec,
                                             uint64_t seed, int64_t high);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_RANDOM_TENSOR_H_
