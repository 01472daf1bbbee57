// Linear, Bilinear, Embedding.

#include "server/torch/declared/linear_layers.h"

#include <ATen/Functions.h>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/declared/checks.h"
#include "server/torch/declared/layer_table.h"

namespace warmstart::backend::declared {

using at::Tensor;

LinearParameters DeclareLinear(Scope& scope, int64_t in_features,
                               int64_t out_features, bool bias, DType dtype) {
  LinearParameters parameters;
  parameters.weight = scope.Parameter(
      "weight", dtype, {out_features, in_features}, KaimingUniformInit{});
  if (bias) {
    parameters.bias = scope.Parameter("bias", dtype, {out_features},
                                      FanInUniformInit{in_features});
  }
  return parameters;
}

Tensor Linear(const Pass& pass, const LinearParameters& parameters,
              const Tensor& input) {
  return at::linear(input, pass[parameters.weight], pass[parameters.bias]);
}

namespace {

absl::StatusOr<Layer> MakeLinear(Options& options, Scope& scope) {
  const int64_t in_features = options.Size("in_features");
  const int64_t out_features = options.Size("out_features");
  const bool bias = options.FlagOr("bias", true);
  const DType dtype = options.FloatType();
  RETURN_IF_ERROR(options.Done());
  const LinearParameters parameters =
      DeclareLinear(scope, in_features, out_features, bias, dtype);
  return TensorLayer([=](const Pass& pass, const Tensor& input) {
    RequireLast("Linear", {in_features}, input);
    RequireTypeOf("Linear", pass[parameters.weight], input);
    return Linear(pass, parameters, input);
  });
}

absl::StatusOr<Layer> MakeBilinear(Options& options, Scope& scope) {
  const int64_t in1 = options.Size("in1_features");
  const int64_t in2 = options.Size("in2_features");
  const int64_t out = options.Size("out_features");
  const bool has_bias = options.FlagOr("bias", true);
  const DType dtype = options.FloatType();
  RETURN_IF_ERROR(options.Done());
  const FanInUniformInit init{in1};
  const StateIndex weight =
      scope.Parameter("weight", dtype, {out, in1, in2}, init);
  const StateIndex bias =
      has_bias ? scope.Parameter("bias", dtype, {out}, init) : StateIndex();
  const auto forward = [=](const Pass& pass, const Tensors& inputs) -> Tensors {
    RequireLast("Bilinear", {in1}, inputs[0]);
    RequireLast("Bilinear", {in2}, inputs[1]);
    RequireTypeOf("Bilinear", pass[weight], inputs[0]);
    RequireTypeOf("Bilinear", pass[weight], inputs[1]);
    return {at::bilinear(inputs[0], inputs[1], pass[weight], pass[bias])};
  };
  return Layer{{{"input1"}, {"input2"}}, {"output"}, forward};
}

absl::StatusOr<Layer> MakeIdentity(Options& /*options*/, Scope& /*scope*/) {
  // torch.nn.Identity takes whatever arguments it is given.
  return PureLayer([](const Tensor& input) { return input; });
}

// Not left to the kernels: CUDA's end the process's use of the device.
void RequireIndices(const Tensor& input, int64_t count) {
  const at::ScalarType type = input.scalar_type();
  TORCH_CHECK(type == at::kLong || type == at::kInt,
              "Embedding takes indices, int64 or int32, the input is ",
              TypeNameOf(input));
  if (input.numel() == 0) return;
  const auto [least, most] = at::aminmax(input);
  TORCH_CHECK(least.item<int64_t>() >= 0 && most.item<int64_t>() < count,
              "Embedding has ", count, " rows, the input names rows ",
              least.item<int64_t>(), " to ", most.item<int64_t>());
}

absl::StatusOr<Layer> MakeEmbedding(Options& options, Scope& scope) {
  const int64_t count = options.Size("num_embeddings");
  const int64_t dim = options.Size("embedding_dim");
  std::optional<int64_t> padding = options.OptionalInteger("padding_idx");
  if (padding.has_value()) {
    options.Require(*padding >= -count && *padding < count, "padding_idx",
                    "must be within num_embeddings");
    if (*padding < 0) *padding += count;
  }
  options.Require(!options.OptionalNumber("max_norm").has_value(), "max_norm",
                  "is not supported: it changes the weights in forward");
  options.Ignore("norm_type");
  options.Ignore("scale_grad_by_freq");
  options.Ignore("sparse");
  const DType dtype = options.FloatType();
  RETURN_IF_ERROR(options.Done());
  const StateIndex weight = scope.Parameter("weight", dtype, {count, dim},
                                            NormalInit{.zero_row = padding});
  return TensorLayer([=](const Pass& pass, const Tensor& input) {
    RequireIndices(input, count);
    return at::embedding(pass[weight], input);
  });
}

}  // namespace

void AddLinearLayers(LayerTable& table) {
  table["Bilinear"] = Leaf(MakeBilinear);
  table["Embedding"] = Leaf(MakeEmbedding);
  table["Identity"] = Leaf(MakeIdentity);
  table["Linear"] = Leaf(MakeLinear);
}

}  // namespace warmstart::backend::declared
