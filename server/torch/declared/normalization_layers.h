// LayerNorm, for the layers that have LayerNorms inside.

#ifndef WARMSTART_SERVER_TORCH_DECLARED_NORMALIZATION_LAYERS_H_
#define WARMSTART_SERVER_TORCH_DECLARED_NORMALIZATION_LAYERS_H_

#include "server/model/dtype.h"
#include "server/torch/declared/blueprint.h"
#include "server/torch/declared/layer.h"

namespace warmstart::backend::declared {

struct LayerNormParameters {
  Sizes sizes;
  double eps = 1e-5;
  StateIndex weight;
  StateIndex bias;
};

// Declares and draws what torch.nn.LayerNorm has with elementwise_affine.
LayerNormParameters DeclareLayerNorm(Scope& scope, Sizes sizes, double eps,
                                     bool bias, DType dtype);

at::Tensor LayerNorm(const Pass& pass, const LayerNormParameters& parameters,
                     const at::Tensor& input);

}  // namespace warmstart::backend::declared

#endif  // WARMSTART_SERVER_TORCH_DECLARED_NORMALIZATION_LAYERS_H_
