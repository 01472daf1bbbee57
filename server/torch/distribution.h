// Distribution: what an initializer comes down to for a tensor of a known
// shape.

#ifndef WARMSTART_SERVER_TORCH_DISTRIBUTION_H_
#define WARMSTART_SERVER_TORCH_DISTRIBUTION_H_

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "server/model/architecture.h"
#include "server/model/dtype.h"
#include "server/model/tensor_spec.h"

namespace warmstart::backend {

// Fans and gains are worked out: kaiming_uniform is a uniform distribution.
struct Distribution {
  enum class Kind { kConstant, kNormal, kUniform };

  Kind kind = Kind::kConstant;
  double a = 0;  // the constant, mean or lower bound
  double b = 0;  // the standard deviation or upper bound
};

// As torch.nn.init does it.
Distribution DistributionOf(const Initializer& initializer, const Shape& shape);

// The type in which values of `dtype` are drawn: PyTorch draws no float8, so
// those are float32 values, cast.
DType DrawnType(const Distribution& distribution, DType dtype);

// Fills `tensor` by the call that the function of torch.nn.init makes, so that
// its values are the same, bit for bit. Throws what that call throws.
void Draw(const Distribution& distribution, at::Generator& generator,
          at::Tensor& tensor);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_DISTRIBUTION_H_
