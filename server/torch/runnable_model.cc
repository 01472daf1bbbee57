#include "server/torch/runnable_model.h"

#include <ATen/Functions.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/edge.h"
#include "server/torch/module_slots.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {
namespace {

constexpr char kInput[] = "input";
constexpr char kOutput[] = "output";

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
                        absl::Span<const StateTensor> state) {
  if (state.size() != schema.entries.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(schema.name, " has ", schema.entries.size(),
                     " tensors, the state ", state.size()));
  }
  for (size_t i = 0; i < state.size(); ++i) {
    const ArchitectureEntry& entry = schema.entries[i];
    const HostTensor& tensor = state[i].tensor;
    RETURN_IF_ERROR(
        Annotate(CheckShape(tensor, entry.spec.shape()), entry.key));
    RETURN_IF_ERROR(Annotate(CheckSize(tensor), entry.key));
  }
  return absl::OkStatus();
}

int64_t CountNonFinite(const at::Tensor& tensor) {
  if (!tensor.is_floating_point() && !tensor.is_complex()) return 0;
  return tensor.numel() - at::isfinite(tensor).sum().item<int64_t>();
}

class ModuleModel : public RunnableModel {
 public:
  ModuleModel(std::shared_ptr<Network> network, const Device& device)
      : network_(std::move(network)), device_(device) {}

  // Throws what LibTorch throws.
  void Bind(absl::Span<const StateTensor> state) {
    const at::Device place = ToAtDevice(device_);
    std::vector<Slot> slots = SlotsOf(*network_);
    for (size_t i = 0; i < slots.size(); ++i) {
      at::Tensor& tensor = slots[i].tensor;
      tensor.requires_grad_(false);
      tensor.set_data(BorrowOrCopy(state[i].tensor).to(place));
      num_bytes_ += static_cast<int64_t>(tensor.nbytes());
      if (device_.kind == Device::Kind::kCpu) owners_.push_back(state[i].owner);
    }
    network_->eval();
  }

  const Device& device() const override { return device_; }
  int64_t num_bytes() const override { return num_bytes_; }

  absl::StatusOr<std::vector<ModelOutput>> Forward(
      absl::Span<const ModelInput> inputs,
      int64_t max_output_bytes) const override {
    RETURN_IF_ERROR(CheckInputs(inputs));
    RETURN_IF_ERROR(ResolveDevice(device_.ToString()).status());
    at::Tensor result;
    RETURN_IF_ERROR(GuardTorch([&] {
      result = network_->forward(
          BorrowOrCopy(inputs[0].tensor).to(ToAtDevice(device_)));
    }));
    if (static_cast<int64_t>(result.nbytes()) > max_output_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "the output takes ", result.nbytes(), " bytes, at most ",
          max_output_bytes, " are answered; send a smaller batch"));
    }
    std::vector<ModelOutput> outputs(1);
    outputs[0].name = kOutput;
    RETURN_IF_ERROR(GuardTorch([&] {
      outputs[0].num_non_finite = CountNonFinite(result);
      const at::Tensor tensor = result.cpu().contiguous();
      outputs[0].tensor = {
          SpecOf(tensor),
          std::string(static_cast<char*>(tensor.data_ptr()), tensor.nbytes())};
    }));
    return outputs;
  }

 private:
  absl::Status CheckInputs(absl::Span<const ModelInput> inputs) const {
    if (inputs.size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "there are ", inputs.size(), " inputs, the model takes one"));
    }
    if (!inputs[0].name.empty() && inputs[0].name != kInput) {
      return absl::InvalidArgumentError(
          absl::StrCat("the model takes no '", inputs[0].name,
                       "'; its input is '", kInput, "'"));
    }
    return Annotate(CheckSize(inputs[0].tensor), kInput);
  }

  const std::shared_ptr<Network> network_;
  const Device device_;
  std::vector<std::shared_ptr<const void>> owners_;
  int64_t num_bytes_ = 0;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const RunnableModel>> MakeRunnableModel(
    const Architecture& schema, std::shared_ptr<Network> network,
    const Device& device, absl::Span<const StateTensor> state) {
  RETURN_IF_ERROR(CheckState(schema, state));
  RETURN_IF_ERROR(ResolveDevice(device.ToString()).status());
  auto model = std::make_shared<ModuleModel>(std::move(network), device);
  RETURN_IF_ERROR(GuardTorch([&] { model->Bind(state); }));
  return model;
}

}  // namespace warmstart::backend
