// Counts of what is loaded, and of what a cast does to it.

#ifndef WARMSTART_SERVER_TORCH_VALUE_COUNTS_H_
#define WARMSTART_SERVER_TORCH_VALUE_COUNTS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "server/torch/model_architecture.h"

namespace warmstart::backend {

// Elements that are handled at once where a tensor is gone through in pieces:
// they and their casts stay in a core's cache.
inline constexpr int64_t kPieceElements = int64_t{1} << 19;

// Adds to `counts` what is to say of `after`, which is `before` cast; or of one
// that is loaded as it is, where both are the same. Both have one dimension,
// on one device. Beyond the tensors, it takes the memory of some pieces.
void CountValues(const at::Tensor& before, const at::Tensor& after,
                 LoadCounts& counts);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_VALUE_COUNTS_H_
