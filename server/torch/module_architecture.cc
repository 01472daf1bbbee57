#include "server/torch/module_architecture.h"

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/computation.h"
#include "server/torch/edge.h"
#include "server/torch/module_slots.h"
#include "server/torch/partial_load.h"
#include "server/torch/runnable_model.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {
namespace {

const at::Tensor& WeightOf(const torch::nn::Module& module) {
  if (const auto* linear = module.as<torch::nn::LinearImpl>()) {
    return linear->weight;
  }
  const auto* conv = module.as<torch::nn::Conv2dImpl>();
  TORCH_INTERNAL_ASSERT(conv != nullptr, "no initializers are known for ",
                        module.name());
  return conv->weight;
}

// What reset_parameters() of Linear and Conv layers does.
Initializer InitializerOf(const Slot& slot) {
  const at::Tensor& weight = WeightOf(*slot.owner);
  if (slot.tensor.is_same(weight)) return KaimingUniformInit{};
  return FanInUniformInit{weight[0].numel()};
}

Architecture SchemaOf(std::string name, Network& network) {
  Architecture schema;
  schema.name = std::move(name);
  for (const Slot& slot : SlotsOf(network)) {
    schema.entries.push_back(
        {slot.key, SpecOf(slot.tensor), slot.kind, InitializerOf(slot)});
  }
  for (const auto& module : network.named_modules()) {
    schema.modules.push_back({module.key(), /*version=*/1});
  }
  return schema;
}

// Linear and Conv layers draw each of their parameters once, in this order.
std::vector<FreshDraw> DrawsOf(const Architecture& schema) {
  std::vector<FreshDraw> draws;
  for (size_t i = 0; i < schema.entries.size(); ++i) {
    draws.push_back({{i}, schema.entries[i].initializer});
  }
  return draws;
}

class NetworkComputation : public Computation {
 public:
  NetworkComputation(std::shared_ptr<Network> network,
                     std::vector<at::Tensor> state)
      : network_(std::move(network)) {
    std::vector<Slot> slots = SlotsOf(*network_);
    for (size_t i = 0; i < slots.size(); ++i) {
      slots[i].tensor.requires_grad_(false);
      slots[i].tensor.set_data(state[i]);
    }
    network_->eval();
  }

  const std::vector<InputPort>& inputs() const override { return inputs_; }
  const std::vector<std::string>& outputs() const override { return outputs_; }

  std::vector<at::Tensor> Run(const std::vector<at::Tensor>& inputs,
                              std::string* /*place*/) const override {
    return {network_->forward(inputs[0])};
  }

 private:
  const std::vector<InputPort> inputs_ = {{"input"}};
  const std::vector<std::string> outputs_ = {"output"};
  const std::shared_ptr<Network> network_;
};

class TorchModuleArchitecture : public ModelArchitecture {
 public:
  TorchModuleArchitecture(std::string name, NetworkFactory factory)
      : factory_(factory),
        schema_(SchemaOf(std::move(name), *factory())),
        draws_(DrawsOf(schema_)) {}

  const Architecture& schema() const override { return schema_; }
  bool has_forward() const override { return true; }

  absl::Status PartialLoad(const Device& device, uint64_t seed,
                           absl::Span<const LoadEntry> entries,
                           SourceTensors sources) const override {
    return RunPartialLoad(schema_, {.constructor = &draws_}, device, seed,
                          entries, sources);
  }

  absl::StatusOr<std::shared_ptr<const RunnableModel>> Load(
      const Device& device,
      absl::Span<const StateTensor> state) const override {
    return MakeRunnableModel(
        schema_, device, state, [this](std::vector<at::Tensor> tensors) {
          return std::make_shared<const NetworkComputation>(factory_(),
                                                            std::move(tensors));
        });
  }

 private:
  const NetworkFactory factory_;
  const Architecture schema_;
  const std::vector<FreshDraw> draws_;
};

}  // namespace

std::unique_ptr<ModelArchitecture> MakeModuleArchitecture(
    std::string name, NetworkFactory factory) {
  return std::make_unique<TorchModuleArchitecture>(std::move(name), factory);
}

}  // namespace warmstart::backend
