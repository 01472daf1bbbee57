// ModuleArchitecture: an architecture that is a torch::nn module.

#ifndef WARMSTART_SERVER_TORCH_MODULE_ARCHITECTURE_H_
#define WARMSTART_SERVER_TORCH_MODULE_ARCHITECTURE_H_

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <memory>
#include <string>

#include "server/torch/model_architecture.h"

namespace warmstart::backend {

// A module that takes one tensor and gives one.
class Network : public torch::nn::Module {
 public:
  virtual at::Tensor forward(at::Tensor input) = 0;
};

using NetworkFactory = std::shared_ptr<Network> (*)();

// The architecture of what `factory` makes. Its schema is read off an instance:
// parameters and buffers in state_dict order, the modules that state_dict()
// lists in its _metadata, and the initializers that torch::nn's constructors
// use (of Linear and Conv layers; `factory`'s modules have no other
// parameters).
//
// The constructors draw from LibTorch's global generator, which any request
// could disturb. So fresh values are not taken from an instance: the same
// draws are made, in the constructors' order, from a generator of the request's
// own, straight into the outputs.
std::unique_ptr<ModelArchitecture> MakeModuleArchitecture(
    std::string name, NetworkFactory factory);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_MODULE_ARCHITECTURE_H_
