// Evaluate: the values of a derivation, by LibTorch.

#ifndef WARMSTART_SERVER_TORCH_DERIVATION_EVALUATOR_H_
#define WARMSTART_SERVER_TORCH_DERIVATION_EVALUATOR_H_

#include <ATen/core/Tensor.h>

#include "absl/functional/function_ref.h"
#include "server/model/derivation.h"

namespace warmstart::backend {

// Gives the tensor of a leaf (SourceOp or FreshOp), with the leaf's spec and on
// the device where all of it is computed. It is read and never written.
using LeafTensor = absl::FunctionRef<at::Tensor(const Derivation& leaf)>;

// A tensor of value's spec, not always contiguous: what was permuted keeps its
// strides, so that interpolation runs the kernels that it runs in Python. It
// may be a leaf's own memory.
//
// A node that several operations share is computed once, and every result is
// freed with its last use. Throws LibTorch's exceptions.
at::Tensor Evaluate(const Derivation& value, LeafTensor leaf);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_DERIVATION_EVALUATOR_H_
