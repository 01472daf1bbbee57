// Computation: what a model does with its inputs, once it has its tensors.

#ifndef WARMSTART_SERVER_TORCH_COMPUTATION_H_
#define WARMSTART_SERVER_TORCH_COMPUTATION_H_

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace warmstart::backend {

// An input that a model takes.
struct InputPort {
  std::string name;
  bool required = true;
};

// Immutable and thread-safe.
class Computation {
 public:
  virtual ~Computation() = default;

  virtual const std::vector<InputPort>& inputs() const = 0;
  virtual const std::vector<std::string>& outputs() const = 0;

  // Takes one tensor for each of inputs(), an undefined one for each that is
  // left out, and gives one for each of outputs(). Neither the inputs nor the
  // model's own tensors are written. Throws LibTorch's exceptions; `*place` is
  // then the part of the model that did not take what it got, "" where that is
  // not known.
  virtual std::vector<at::Tensor> Run(const std::vector<at::Tensor>& inputs,
                                      std::string* place) const = 0;
};

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_COMPUTATION_H_
