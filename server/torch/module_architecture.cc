#include "server/torch/module_architecture.h"

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/edge.h"
#include "server/torch/partial_load.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {
namespace {

// A parameter or buffer of a module.
struct Slot {
  std::string key;
  at::Tensor tensor;
  EntryKind kind;
  const torch::nn::Module* owner;
};

// In state_dict order: each module's parameters, then its buffers, then its
// children.
std::vector<Slot> SlotsOf(Network& network) {
  std::vector<Slot> slots;
  for (const auto& module : network.named_modules()) {
    const torch::nn::Module* owner = module.value().get();
    const std::string prefix =
        module.key().empty() ? "" : absl::StrCat(module.key(), ".");
    for (const auto& item : owner->named_parameters(/*recurse=*/false)) {
      slots.push_back({absl::StrCat(prefix, item.key()), item.value(),
                       EntryKind::kParameter, owner});
    }
    for (const auto& item : owner->named_buffers(/*recurse=*/false)) {
      slots.push_back({absl::StrCat(prefix, item.key()), item.value(),
                       EntryKind::kBuffer, owner});
    }
  }
  return slots;
}

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

TensorSpec SpecOf(const at::Tensor& tensor) {
  const DType dtype = ToDType(tensor.scalar_type()).value();
  return TensorSpec::Create(dtype, Shape::Create(tensor.sizes().vec()).value())
      .value();
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

absl::Status CheckSize(const HostTensor& tensor) {
  if (static_cast<int64_t>(tensor.bytes.size()) == tensor.spec.num_bytes()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(tensor.bytes.size(), " bytes where ", tensor.spec.ToString(),
                   " takes ", tensor.spec.num_bytes()));
}

absl::Status CheckShape(const HostTensor& tensor, const Shape& shape) {
  if (tensor.spec.shape() == shape) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("its shape is ", tensor.spec.shape().ToString(),
                   ", the architecture's is ", shape.ToString()));
}

// Dtypes are left to the model, which runs in float16 as well as in float32.
absl::Status CheckState(const Architecture& schema,
                        absl::Span<const HostTensor> state) {
  if (state.size() != schema.entries.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(schema.name, " has ", schema.entries.size(),
                     " tensors, the state ", state.size()));
  }
  for (size_t i = 0; i < state.size(); ++i) {
    const ArchitectureEntry& entry = schema.entries[i];
    RETURN_IF_ERROR(
        Annotate(CheckShape(state[i], entry.spec.shape()), entry.key));
    RETURN_IF_ERROR(Annotate(CheckSize(state[i]), entry.key));
  }
  return absl::OkStatus();
}

// The network computes with `state` where it lies, on the CPU.
void Bind(Network& network, absl::Span<const HostTensor> state,
          at::Device device) {
  std::vector<Slot> slots = SlotsOf(network);
  for (size_t i = 0; i < slots.size(); ++i) {
    at::Tensor& tensor = slots[i].tensor;
    tensor.requires_grad_(false);
    tensor.set_data(BorrowOrCopy(state[i]).to(device));
  }
}

OwnedTensor ToOwned(const at::Tensor& result) {
  const at::Tensor tensor = result.cpu().contiguous();
  return {SpecOf(tensor),
          std::string(static_cast<char*>(tensor.data_ptr()), tensor.nbytes())};
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

  absl::StatusOr<OwnedTensor> Forward(const Device& device,
                                      absl::Span<const HostTensor> state,
                                      const HostTensor& input) const override {
    RETURN_IF_ERROR(CheckState(schema_, state));
    RETURN_IF_ERROR(Annotate(CheckSize(input), "input"));
    RETURN_IF_ERROR(ResolveDevice(device.ToString()).status());
    OwnedTensor output;
    RETURN_IF_ERROR(
        GuardTorch([&] { output = Run(ToAtDevice(device), state, input); }));
    return output;
  }

 private:
  OwnedTensor Run(at::Device device, absl::Span<const HostTensor> state,
                  const HostTensor& input) const {
    const std::shared_ptr<Network> network = factory_();
    Bind(*network, state, device);
    network->eval();
    return ToOwned(network->forward(BorrowOrCopy(input).to(device)));
  }

  const NetworkFactory factory_;
  const Architecture schema_;
};

}  // namespace

std::unique_ptr<ModelArchitecture> MakeModuleArchitecture(
    std::string name, NetworkFactory factory) {
  return std::make_unique<TorchModuleArchitecture>(std::move(name), factory);
}

}  // namespace warmstart::backend
