// The operations of derivations on LibTorch's tensors.

#ifndef WARMSTART_SERVER_TORCH_TENSOR_OPS_H_
#define WARMSTART_SERVER_TORCH_TENSOR_OPS_H_

#include <ATen/core/Tensor.h>

#include <vector>

#include "server/model/derivation.h"

namespace warmstart::backend {

// The result of the inner node `node` for these operands. They are consumed:
// each is let go of once it is not needed any more, but never written to.
at::Tensor Apply(const Derivation& node, std::vector<at::Tensor> operands);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_TENSOR_OPS_H_
