// Activations, and what is the identity in evaluation: Dropout's family.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <string>

#include "server/base/status_macros.h"
#include "server/torch/declared/checks.h"
#include "server/torch/declared/layer_table.h"

namespace warmstart::backend::declared {
namespace {

using at::Tensor;

// Computing in place would write to the input, so it is never done.
void IgnoreInplace(Options& options) { options.FlagOr("inplace", false); }

// A function without options.
template <Tensor (*kFunction)(const Tensor&)>
absl::StatusOr<Layer> MakePlain(Options& options, Scope& /*scope*/) {
  RETURN_IF_ERROR(options.Done());
  return PureLayer(kFunction);
}

// The same, of a type that has `inplace`.
template <Tensor (*kFunction)(const Tensor&)>
absl::StatusOr<Layer> MakeInplace(Options& options, Scope& scope) {
  IgnoreInplace(options);
  return MakePlain<kFunction>(options, scope);
}

// A function with one number, which has a default, and maybe `inplace`.
using NumberFunction = Tensor (*)(const Tensor&, double);
LayerType OneNumber(const char* name, double fallback, bool has_inplace,
                    NumberFunction function) {
  return Leaf([=](Options& options, Scope&) -> absl::StatusOr<Layer> {
    const double number = options.NumberOr(name, fallback);
    if (has_inplace) IgnoreInplace(options);
    RETURN_IF_ERROR(options.Done());
    return PureLayer(
        [=](const Tensor& input) { return function(input, number); });
  });
}

// A function along a dimension. With None, the softmaxes of torch.nn choose
// one.
int64_t ImplicitDim(const Tensor& input) {
  return input.dim() == 0 || input.dim() == 1 || input.dim() == 3 ? 0 : 1;
}

LayerType AlongDim(Tensor (*function)(const Tensor&, int64_t)) {
  return Leaf([=](Options& options, Scope&) -> absl::StatusOr<Layer> {
    const std::optional<int64_t> dim = options.OptionalInteger("dim");
    RETURN_IF_ERROR(options.Done());
    return PureLayer([=](const Tensor& input) {
      return function(input, dim.has_value() ? *dim : ImplicitDim(input));
    });
  });
}

Tensor Softsign(const Tensor& x) { return x / (x.abs() + 1); }
Tensor Tanhshrink(const Tensor& x) { return x - x.tanh(); }

absl::StatusOr<Layer> MakeSoftmax2d(Options& options, Scope&) {
  RETURN_IF_ERROR(options.Done());
  return PureLayer([](const Tensor& x) {
    TORCH_CHECK(x.dim() == 3 || x.dim() == 4,
                "Softmax2d takes 3 or 4 dimensions, the input has shape ",
                x.sizes());
    return at::softmax(x, -3);
  });
}

absl::StatusOr<Layer> MakeGLU(Options& options, Scope&) {
  const int64_t dim = options.IntegerOr("dim", -1);
  RETURN_IF_ERROR(options.Done());
  return PureLayer([=](const Tensor& x) { return at::glu(x, dim); });
}

absl::StatusOr<Layer> MakeGELU(Options& options, Scope&) {
  const std::string approximate =
      options.ChoiceOr("approximate", "none", {"none", "tanh"});
  RETURN_IF_ERROR(options.Done());
  return PureLayer([=](const Tensor& x) { return at::gelu(x, approximate); });
}

absl::StatusOr<Layer> MakeHardtanh(Options& options, Scope&) {
  const double low = options.NumberOr("min_val", -1);
  const double high = options.NumberOr("max_val", 1);
  IgnoreInplace(options);
  options.Require(low < high, "max_val", "must be above min_val");
  RETURN_IF_ERROR(options.Done());
  return PureLayer([=](const Tensor& x) { return at::hardtanh(x, low, high); });
}

absl::StatusOr<Layer> MakeSoftplus(Options& options, Scope&) {
  const double beta = options.NumberOr("beta", 1);
  const double threshold = options.NumberOr("threshold", 20);
  RETURN_IF_ERROR(options.Done());
  return PureLayer(
      [=](const Tensor& x) { return at::softplus(x, beta, threshold); });
}

absl::StatusOr<Layer> MakeThreshold(Options& options, Scope&) {
  const double threshold = options.Number("threshold");
  const double value = options.Number("value");
  IgnoreInplace(options);
  RETURN_IF_ERROR(options.Done());
  return PureLayer(
      [=](const Tensor& x) { return at::threshold(x, threshold, value); });
}

absl::StatusOr<Layer> MakeRReLU(Options& options, Scope&) {
  const double lower = options.NumberOr("lower", 1.0 / 8);
  const double upper = options.NumberOr("upper", 1.0 / 3);
  IgnoreInplace(options);
  RETURN_IF_ERROR(options.Done());
  return PureLayer([=](const Tensor& x) {
    return at::rrelu(x, lower, upper, /*training=*/false);
  });
}

absl::StatusOr<Layer> MakePReLU(Options& options, Scope& scope) {
  const int64_t count = options.SizeOr("num_parameters", 1);
  const double init = options.NumberOr("init", 0.25);
  const DType dtype = options.FloatType();
  RETURN_IF_ERROR(options.Done());
  const StateIndex weight =
      scope.Parameter("weight", dtype, {count}, ConstantInit{init});
  return TensorLayer([=](const Pass& pass, const Tensor& x) {
    RequireTypeOf("PReLU", pass[weight], x);
    return at::prelu(x, pass[weight]);
  });
}

absl::StatusOr<Layer> MakeDropout(Options& options, Scope&) {
  options.Probability("p", 0.5);
  IgnoreInplace(options);
  RETURN_IF_ERROR(options.Done());
  return PureLayer([](const Tensor& x) { return x; });
}

}  // namespace

void AddActivationLayers(LayerTable& table) {
  table["CELU"] = OneNumber("alpha", 1, true, [](const Tensor& x, double a) {
    return at::celu(x, a);
  });
  table["ELU"] = OneNumber("alpha", 1, true, [](const Tensor& x, double a) {
    return at::elu(x, a);
  });
  table["GELU"] = Leaf(MakeGELU);
  table["GLU"] = Leaf(MakeGLU);
  table["Hardshrink"] = OneNumber(
      "lambd", 0.5, false,
      [](const Tensor& x, double lambda) { return at::hardshrink(x, lambda); });
  table["Hardsigmoid"] = Leaf(MakeInplace<at::hardsigmoid>);
  table["Hardswish"] = Leaf(MakeInplace<at::hardswish>);
  table["Hardtanh"] = Leaf(MakeHardtanh);
  table["LeakyReLU"] =
      OneNumber("negative_slope", 0.01, true,
                [](const Tensor& x, double a) { return at::leaky_relu(x, a); });
  table["LogSigmoid"] = Leaf(MakePlain<at::log_sigmoid>);
  table["LogSoftmax"] = AlongDim(
      [](const Tensor& x, int64_t dim) { return at::log_softmax(x, dim); });
  table["Mish"] = Leaf(MakeInplace<at::mish>);
  table["PReLU"] = Leaf(MakePReLU);
  table["ReLU"] = Leaf(MakeInplace<at::relu>);
  table["ReLU6"] = Leaf(MakeInplace<at::relu6>);
  table["RReLU"] = Leaf(MakeRReLU);
  table["SELU"] = Leaf(MakeInplace<at::selu>);
  table["SiLU"] = Leaf(MakeInplace<at::silu>);
  table["Sigmoid"] = Leaf(MakePlain<at::sigmoid>);
  table["Softmax"] = AlongDim(
      [](const Tensor& x, int64_t dim) { return at::softmax(x, dim); });
  table["Softmax2d"] = Leaf(MakeSoftmax2d);
  table["Softmin"] = AlongDim(
      [](const Tensor& x, int64_t dim) { return at::softmax(-x, dim); });
  table["Softplus"] = Leaf(MakeSoftplus);
  table["Softshrink"] = OneNumber(
      "lambd", 0.5, false,
      [](const Tensor& x, double lambda) { return at::softshrink(x, lambda); });
  table["Softsign"] = Leaf(MakePlain<Softsign>);
  table["Tanh"] = Leaf(MakePlain<at::tanh>);
  table["Tanhshrink"] = Leaf(MakePlain<Tanhshrink>);
  table["Threshold"] = Leaf(MakeThreshold);
  for (const char* type : {"AlphaDropout", "Dropout", "Dropout1d", "Dropout2d",
                           "Dropout3d", "FeatureAlphaDropout"}) {
    table[type] = Leaf(MakeDropout);
  }
}

}  // namespace warmstart::backend::declared
