// Layer: what a declared module computes. A layer holds no tensors, only where
// in the state its own are, so that one declaration serves any number of loaded
// models, and nothing is allocated before one is loaded.

#ifndef WARMSTART_SERVER_TORCH_DECLARED_LAYER_H_
#define WARMSTART_SERVER_TORCH_DECLARED_LAYER_H_

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "server/torch/computation.h"

namespace warmstart::backend::declared {

using Tensors = std::vector<at::Tensor>;

// The place in the state of a layer's parameter or buffer. A layer that does
// without one (a bias) has one that is not there.
class StateIndex {
 public:
  StateIndex() = default;
  explicit StateIndex(size_t index) : index_(index), is_there_(true) {}

  bool is_there() const { return is_there_; }
  size_t index() const { return index_; }

 private:
  size_t index_ = 0;
  bool is_there_ = false;
};

// One forward pass through the layers.
class Pass {
 public:
  Pass(absl::Span<const at::Tensor> state, std::string* place)
      : state_(state), place_(place) {}

  // Undefined where there is none, which LibTorch's functions take for None.
  at::Tensor operator[](StateIndex index) const {
    return index.is_there() ? state_[index.index()] : at::Tensor();
  }

  // Says where the pass is by now.
  void Enter(const std::string& place) const { *place_ = place; }

 private:
  absl::Span<const at::Tensor> state_;
  std::string* place_;
};

// Takes a tensor for each port, undefined ones for those that were left out.
// Throws LibTorch's exceptions. Writes to none of its tensors.
using Forward = std::function<Tensors(const Pass&, const Tensors&)>;

struct Layer {
  std::vector<InputPort> inputs;
  std::vector<std::string> outputs;
  Forward forward;
};

// A layer that takes a tensor and gives one; `function` takes a Pass and a
// tensor.
template <typename Function>
Layer TensorLayer(Function function) {
  return {{{"input"}},
          {"output"},
          [function = std::move(function)](const Pass& pass,
                                           const Tensors& inputs) -> Tensors {
            return {function(pass, inputs[0])};
          }};
}

// The same without parameters: `function` takes a tensor.
template <typename Function>
Layer PureLayer(Function function) {
  return TensorLayer([function = std::move(function)](const Pass& /*pass*/,
                                                      const at::Tensor& input) {
    return function(input);
  });
}

}  // namespace warmstart::backend::declared

#endif  // WARMSTART_SERVER_TORCH_DECLARED_LAYER_H_
