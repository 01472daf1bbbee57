#include "server/torch/random_tensor.h"

#include <ATen/Functions.h>

#include <string>

#include "server/base/status_macros.h"
#include "server/torch/edge.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {

absl::StatusOr<OwnedTensor> DrawRandomTensor(const TensorSpec& spec,
                                             uint64_t seed, int64_t high) {
  OwnedTensor drawn{.spec = spec};
  RETURN_IF_ERROR(GuardTorch([&] {
    const at::IntArrayRef sizes = ToSizes(spec.shape());
    const auto options = at::TensorOptions(ToScalarType(spec.dtype()));
    const at::Generator generator = NewGenerator(at::kCPU, seed);
    const at::Tensor tensor =
        IsFloatingPoint(spec.dtype())
            ? at::randn(sizes, generator, options)
            : at::randint(high, sizes, generator, options);
    drawn.bytes.assign(static_cast<const char*>(tensor.const_data_ptr()),
                       tensor.nbytes());
  }));
  return drawn;
}

}  // namespace warmstart::backend
