#include "tests/torch/tensors.h"

#include <cstring>
#include <iterator>
#include <utility>

#include "server/base/status_macros.h"

namespace warmstart::backend::testing {

TensorSpec Spec(DType dtype, std::vector<int64_t> sizes) {
  return TensorSpec::Create(dtype, Shape::Create(std::move(sizes)).value())
      .value();
}

HostTensor View(const OwnedTensor& tensor) {
  return {tensor.spec, tensor.bytes};
}

std::vector<HostTensor> Views(const std::vector<OwnedTensor>& tensors) {
  std::vector<HostTensor> views;
  views.reserve(tensors.size());
  for (const OwnedTensor& tensor : tensors) views.push_back(View(tensor));
  return views;
}

OwnedTensor Floats(std::vector<int64_t> sizes,
                   const std::vector<float>& values) {
  return {Spec(DType::kFloat32, std::move(sizes)),
          std::string(reinterpret_cast<const char*>(values.data()),
                      values.size() * sizeof(float))};
}

std::vector<float> ToFloats(absl::string_view bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

OwnedTensor Blank(const ArchitectureEntry& entry) {
  return {entry.spec, std::string(entry.spec.num_bytes(), '\xcd')};
}

LoadEntry Fresh(int64_t entry, OwnedTensor& output) {
  return {.entry = entry,
          .dtype = output.spec.dtype(),
          .output = absl::MakeSpan(output.bytes)};
}

LoadEntry Load(int64_t entry, const DerivationPtr& value, OwnedTensor& output) {
  LoadEntry load = Fresh(entry, output);
  load.value = value.get();
  return load;
}

DerivationPtr Sources::Add(const HostTensor& tensor) {
  leaves_.push_back(SourceTensor(0, std::ssize(tensors_), tensor.spec));
  tensors_.push_back(tensor);
  return leaves_.back();
}

HostTensor Sources::operator()(const SourceOp& op) const {
  const bool known = op.source == 0 && op.entry < std::ssize(tensors_);
  return known ? tensors_[op.entry] : HostTensor();
}

std::vector<OwnedTensor> BlankState(const Architecture& schema) {
  std::vector<OwnedTensor> state;
  state.reserve(schema.entries.size());
  for (const ArchitectureEntry& entry : schema.entries) {
    state.push_back(Blank(entry));
  }
  return state;
}

std::vector<LoadEntry> FreshLoads(std::vector<OwnedTensor>& state) {
  std::vector<LoadEntry> loads;
  loads.reserve(state.size());
  for (OwnedTensor& tensor : state) {
    loads.push_back(Fresh(std::ssize(loads), tensor));
  }
  return loads;
}

absl::StatusOr<std::vector<OwnedTensor>> FreshState(
    const ModelArchitecture& architecture, const Device& device,
    uint64_t seed) {
  std::vector<OwnedTensor> state = BlankState(architecture.schema());
  RETURN_IF_ERROR(
      architecture.PartialLoad(device, seed, FreshLoads(state), Sources()));
  return state;
}

absl::StatusOr<OwnedTensor> Run(const ModelArchitecture& architecture,
                                const Device& device,
                                const std::vector<HostTensor>& state,
                                const HostTensor& input) {
  std::vector<StateTensor> tensors;
  for (const HostTensor& tensor : state) tensors.push_back({tensor, nullptr});
  ASSIGN_OR_RETURN(const auto model, architecture.Load(device, tensors));
  ASSIGN_OR_RETURN(std::vector<ModelOutput> outputs,
                   model->Forward({{"", input}}, int64_t{1} << 30));
  return std::move(outputs[0].tensor);
}

absl::StatusOr<OwnedTensor> FreshEntry(const ModelArchitecture& architecture,
                                       const Device& device, uint64_t seed,
                                       int64_t entry) {
  OwnedTensor tensor = Blank(architecture.schema().entries[entry]);
  RETURN_IF_ERROR(architecture.PartialLoad(device, seed, {Fresh(entry, tensor)},
                                           Sources()));
  return tensor;
}

}  // namespace warmstart::backend::testing
