// What layers ask of their inputs, in words that a person understands. They
// throw what TORCH_CHECK throws.

#ifndef WARMSTART_SERVER_TORCH_DECLARED_CHECKS_H_
#define WARMSTART_SERVER_TORCH_DECLARED_CHECKS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace warmstart::backend::declared {

// "float32"
std::string TypeNameOf(const at::Tensor& tensor);

// The input has the type in which the layer's parameters are.
void RequireTypeOf(const std::string& layer, const at::Tensor& parameter,
                   const at::Tensor& input);

// The last dimensions of the input are `sizes`.
void RequireLast(const std::string& layer, absl::Span<const int64_t> sizes,
                 const at::Tensor& input);

// The input has `channels` in its second dimension, or `unbatched`, whose only
// difference is that the first one is not there, in its first. `rank` is the
// number of dimensions behind the channels.
void RequireChannels(const std::string& layer, int64_t channels, int64_t rank,
                     const at::Tensor& input);

}  // namespace warmstart::backend::declared

#endif  // WARMSTART_SERVER_TORCH_DECLARED_CHECKS_H_
