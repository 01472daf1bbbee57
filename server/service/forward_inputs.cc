#include "server/service/forward_inputs.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/service/tensor_file.h"
#include "server/torch/random_tensor.h"

namespace warmstart::service {
namespace {

// Messages are smaller; what is drawn or expanded on the server need not be.
constexpr int64_t kMaxInputBytes = int64_t{64} << 20;
constexpr size_t kMaxInputs = 1000;
constexpr int64_t kDefaultHigh = 2;

absl::StatusOr<std::string> Draw(const TensorSpec& spec,
                                 const RandomValues& values,
                                 absl::string_view field) {
  if (values.high.has_value() && IsFloatingPoint(spec.dtype())) {
    return InvalidField(
        absl::StrCat(field, ".random.high"),
        "is of integers alone; others are drawn by torch.randn");
  }
  absl::StatusOr<backend::OwnedTensor> drawn = backend::DrawRandomTensor(
      spec, values.seed, values.high.value_or(kDefaultHigh));
  if (absl::IsInvalidArgument(drawn.status())) {
    return InvalidField(absl::StrCat(field, ".random"),
                        drawn.status().message());
  }
  RETURN_IF_ERROR(drawn.status());
  return std::move(drawn->bytes);
}

}  // namespace

absl::Status ForwardInputs::Add(const ForwardInput& input,
                                absl::string_view field) {
  const int64_t num_bytes = input.spec.num_bytes();
  if (num_bytes > kMaxInputBytes - num_bytes_) {
    return InvalidField(field, absl::StrCat("the inputs take more than ",
                                            kMaxInputBytes, " bytes"));
  }
  num_bytes_ += num_bytes;
  inputs_.push_back({.name = input.name, .spec = input.spec});
  if (const auto* random = std::get_if<RandomValues>(&input.values)) {
    ASSIGN_OR_RETURN(inputs_.back().owned, Draw(input.spec, *random, field));
    return absl::OkStatus();
  }
  const absl::string_view data = std::get<absl::string_view>(input.values);
  if (static_cast<int64_t>(data.size()) != num_bytes) {
    return InvalidField(
        absl::StrCat(field, ".tensor.data"),
        absl::StrCat("has ", data.size(), " bytes, but ", input.spec.ToString(),
                     " takes ", num_bytes));
  }
  inputs_.back().borrowed = data;
  return absl::OkStatus();
}

absl::Status ForwardInputs::AddFile(absl::string_view file) {
  absl::StatusOr<std::vector<NamedTensor>> tensors =
      ReadTensorFile(file, kMaxInputBytes);
  if (!tensors.ok()) {
    return WithErrorInfo(tensors.status(), reason::kInvalidFile,
                         {{"field", "input_file"}});
  }
  for (NamedTensor& named : *tensors) {
    inputs_.push_back({.name = std::move(named.name),
                       .spec = named.tensor.spec,
                       .owned = std::move(named.tensor.bytes)});
  }
  return absl::OkStatus();
}

absl::Status ForwardInputs::CheckNames() const {
  absl::flat_hash_set<absl::string_view> seen;
  for (const Input& input : inputs_) {
    if (input.name.empty() != inputs_.front().name.empty()) {
      return InvalidField("inputs",
                          "some have names and some do not; give all of them "
                          "by name, or all by position");
    }
    if (!input.name.empty() && !seen.insert(input.name).second) {
      return InvalidField("inputs",
                          absl::StrCat("'", input.name, "' is there twice"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ForwardInputs> ForwardInputs::Make(
    absl::Span<const ForwardInput> inputs, absl::string_view file) {
  if (inputs.empty() == file.empty()) {
    return InvalidField(
        "inputs", file.empty()
                      ? "are missing; send them, or an input_file"
                      : "and input_file are both there; send one of them");
  }
  if (inputs.size() > kMaxInputs) {
    return InvalidField("inputs",
                        absl::StrCat("there are ", inputs.size(), ", at most ",
                                     kMaxInputs, " are allowed"));
  }
  ForwardInputs made;
  for (size_t i = 0; i < inputs.size(); ++i) {
    RETURN_IF_ERROR(made.Add(inputs[i], absl::StrCat("inputs[", i, "]")));
  }
  if (!file.empty()) RETURN_IF_ERROR(made.AddFile(file));
  RETURN_IF_ERROR(made.CheckNames());
  return made;
}

std::vector<backend::ModelInput> ForwardInputs::Views() const {
  std::vector<backend::ModelInput> views;
  for (const Input& input : inputs_) {
    views.push_back(
        {input.name,
         {input.spec, input.owned.empty() ? input.borrowed : input.owned}});
  }
  return views;
}

}  // namespace warmstart::service
