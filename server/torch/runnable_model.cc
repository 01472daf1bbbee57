#include "server/torch/runnable_model.h"

#include <ATen/Functions.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/torch/edge.h"
#include "server/torch/staged_copy.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {
namespace {

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

std::string NamesOf(absl::Span<const InputPort> ports) {
  return absl::StrJoin(
      ports, ", ", [](std::string* out, const InputPort& port) {
        absl::StrAppend(out, "'", port.name, "'",
                        port.required ? "" : " (may be left out)");
      });
}

absl::Status RefuseInputs(absl::string_view problem,
                          absl::Span<const InputPort> ports) {
  return absl::InvalidArgumentError(
      absl::StrCat(problem, "; the model takes ", NamesOf(ports)));
}

// The port that an input is for.
absl::StatusOr<size_t> PortOf(const ModelInput& input, size_t position,
                              absl::Span<const InputPort> ports) {
  if (input.name.empty()) return position;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].name == input.name) return i;
  }
  return RefuseInputs(absl::StrCat("there is no input '", input.name, "'"),
                      ports);
}

using PortInputs = std::vector<const HostTensor*>;

// What each port gets, null where it gets nothing.
absl::StatusOr<PortInputs> Arrange(absl::Span<const ModelInput> inputs,
                                   absl::Span<const InputPort> ports) {
  if (inputs.size() > ports.size()) {
    return RefuseInputs(absl::StrCat("there are ", inputs.size(), " inputs"),
                        ports);
  }
  PortInputs arranged(ports.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].name.empty() != inputs[0].name.empty()) {
      return RefuseInputs("some inputs have a name and some have none", ports);
    }
    ASSIGN_OR_RETURN(const size_t port, PortOf(inputs[i], i, ports));
    if (arranged[port] != nullptr) {
      return RefuseInputs(
          absl::StrCat("the input '", ports[port].name, "' is there twice"),
          ports);
    }
    RETURN_IF_ERROR(Annotate(CheckSize(inputs[i].tensor), ports[port].name));
    arranged[port] = &inputs[i].tensor;
  }
  for (size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].required && arranged[i] == nullptr) {
      return RefuseInputs(
          absl::StrCat("the input '", ports[i].name, "' is missing"), ports);
    }
  }
  return arranged;
}

absl::Status CheckOutputs(const std::vector<at::Tensor>& outputs,
                          int64_t max_bytes) {
  int64_t bytes = 0;
  for (const at::Tensor& output : outputs) {
    bytes += static_cast<int64_t>(output.nbytes());
  }
  if (bytes <= max_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the outputs take ", bytes, " bytes, at most ", max_bytes,
                   " are answered; send a smaller batch"));
}

// Throws what LibTorch throws.
ModelOutput ToOutput(const std::string& name, const at::Tensor& tensor) {
  ModelOutput output;
  output.name = name;
  output.num_non_finite = CountNonFinite(tensor);
  const at::Tensor host = Contiguous(tensor.cpu());
  output.tensor = {SpecOf(host),
                   std::string(static_cast<const char*>(host.const_data_ptr()),
                               host.nbytes())};
  return output;
}

class ComputedModel : public RunnableModel {
 public:
  ComputedModel(std::shared_ptr<const Computation> computation,
                const Device& device, int64_t num_bytes,
                std::vector<std::shared_ptr<const void>> owners)
      : owners_(std::move(owners)),
        computation_(std::move(computation)),
        device_(device),
        num_bytes_(num_bytes) {}

  const Device& device() const override { return device_; }
  int64_t num_bytes() const override { return num_bytes_; }

  absl::StatusOr<std::vector<ModelOutput>> Forward(
      absl::Span<const ModelInput> inputs,
      int64_t max_output_bytes) const override {
    ASSIGN_OR_RETURN(const PortInputs arranged,
                     Arrange(inputs, computation_->inputs()));
    RETURN_IF_ERROR(ResolveDevice(device_.ToString()).status());
    ASSIGN_OR_RETURN(const std::vector<at::Tensor> results, Compute(arranged));
    RETURN_IF_ERROR(CheckOutputs(results, max_output_bytes));
    std::vector<ModelOutput> outputs;
    RETURN_IF_ERROR(GuardTorch([&] {
      for (size_t i = 0; i < results.size(); ++i) {
        outputs.push_back(ToOutput(computation_->outputs()[i], results[i]));
      }
    }));
    return outputs;
  }

 private:
  absl::StatusOr<std::vector<at::Tensor>> Compute(
      const PortInputs& inputs) const {
    std::vector<at::Tensor> results;
    std::string place;
    const absl::Status status = GuardTorch([&] {
      std::vector<at::Tensor> tensors;
      for (const HostTensor* input : inputs) {
        tensors.push_back(input == nullptr
                              ? at::Tensor()
                              : BorrowOrCopy(*input).to(ToAtDevice(device_)));
      }
      results = computation_->Run(tensors, &place);
    });
    if (status.ok()) return results;
    return place.empty() ? status : Annotate(status, place);
  }

  // Outlive what computes with their tensors.
  const std::vector<std::shared_ptr<const void>> owners_;
  const std::shared_ptr<const Computation> computation_;
  const Device device_;
  const int64_t num_bytes_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const RunnableModel>> MakeRunnableModel(
    const Architecture& schema, const Device& device,
    absl::Span<const StateTensor> state, BindState bind) {
  RETURN_IF_ERROR(CheckState(schema, state));
  RETURN_IF_ERROR(ResolveDevice(device.ToString()).status());
  std::vector<std::shared_ptr<const void>> owners;
  int64_t num_bytes = 0;
  std::shared_ptr<const Computation> computation;
  RETURN_IF_ERROR(GuardTorch([&] {
    // What is made in inference mode cannot be told to require a gradient.
    const c10::InferenceMode normal(false);
    const bool is_host = device.kind == Device::Kind::kCpu;
    StagedCopy copy(ToAtDevice(device));
    std::vector<at::Tensor> tensors;
    for (const StateTensor& given : state) {
      tensors.push_back(is_host ? BorrowOrCopy(given.tensor)
                                : copy.ToDevice(given.tensor));
      num_bytes += static_cast<int64_t>(tensors.back().nbytes());
      if (is_host) owners.push_back(given.owner);
    }
    computation = bind(std::move(tensors));
  }));
  return std::make_shared<ComputedModel>(std::move(computation), device,
                                         num_bytes, std::move(owners));
}

}  // namespace warmstart::backend
