// The parameters and buffers of a torch::nn module, as a state_dict has them.

#ifndef WARMSTART_SERVER_TORCH_MODULE_SLOTS_H_
#define WARMSTART_SERVER_TORCH_MODULE_SLOTS_H_

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <string>
#include <vector>

#include "server/model/architecture.h"

namespace warmstart::backend {

struct Slot {
  std::string key;
  at::Tensor tensor;
  EntryKind kind;
  const torch::nn::Module* owner;
};

// In state_dict order: each module's parameters, then its buffers, then its
// children.
std::vector<Slot> SlotsOf(torch::nn::Module& module);

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_MODULE_SLOTS_H_
