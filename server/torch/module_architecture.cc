#include "server/torch/module_architecture.h"

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
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

class TorchModuleArchitecture : public ModelArchitecture {
 public:
  TorchModuleArchitecture(std::string name, NetworkFactory factory)
      : factory_(factory), schema_(SchemaOf(std::move(name), *factory())) {}

  const Architecture& schema() const override { return schema_; }
  bool has_forward() const override { return true; }

  absl::Status PartialLoad(const Device& device, uint64_t seed,
                           absl::Span<const LoadEntry> entries,
                           SourceTensors sources) const override {
    return RunPartialLoad(schema_, RandomStreams::kOneInOrder, device, seed,
                          entries, sources);
  }

  absl::StatusOr<std::shared_ptr<const RunnableModel>> Load(
      const Device& device,
      absl::Span<const StateTensor> state) const override {
    return MakeRunnableModel(schema_, factory_(), device, state);
  }

 private:
  const NetworkFactory factory_;
  const Architecture schema_;
};

}  // namespace

std::unique_ptr<ModelArchitecture> MakeModuleArchitecture(
    std::string name, NetworkFactory factory) {
  return std::make_unique<TorchModuleArchitecture>(std::move(name), factory);
}

}  // namespace warmstart::backend
