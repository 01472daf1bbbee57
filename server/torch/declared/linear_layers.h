// Linear, for the layers that have Linears inside.

#ifndef WARMSTART_SERVER_TORCH_DECLARED_LINEAR_LAYERS_H_
#define WARMSTART_SERVER_TORCH_DECLARED_LINEAR_LAYERS_H_

#include <cstdint>

#include "server/model/dtype.h"
#include "server/torch/declared/blueprint.h"
#include "server/torch/declared/layer.h"

namespace warmstart::backend::declared {

struct LinearParameters {
  StateIndex weight;
  StateIndex bias;
};

// Declares and draws them as torch.nn.Linear does.
LinearParameters DeclareLinear(Scope& scope, int64_t in_features,
                               int64_t out_features, bool bias, DType dtype);

at::Tensor Linear(const Pass& pass, const LinearParameters& parameters,
                  const at::Tensor& input);

}  // namespace warmstart::backend::declared

#endif  // WARMSTART_SERVER_TORCH_DECLARED_LINEAR_LAYERS_H_
