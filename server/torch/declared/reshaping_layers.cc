// What moves, repeats or interpolates elements: Flatten, padding, Upsample.

#include <ATen/Functions.h>
#include <torch/nn/functional/upsampling.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/declared/layer_table.h"

namespace warmstart::backend::declared {
namespace {

using at::Tensor;

absl::StatusOr<Layer> MakeFlatten(Options& options, Scope&) {
  const int64_t start = options.IntegerOr("start_dim", 1);
  const int64_t end = options.IntegerOr("end_dim", -1);
  RETURN_IF_ERROR(options.Done());
  return PureLayer([=](const Tensor& x) { return at::flatten(x, start, end); });
}

absl::StatusOr<Layer> MakeUnflatten(Options& options, Scope&) {
  const int64_t dim = options.Integer("dim");
  const Sizes sizes = options.List("unflattened_size", -1);
  RETURN_IF_ERROR(options.Done());
  return PureLayer(
      [=](const Tensor& x) { return at::unflatten(x, dim, sizes); });
}

using FactorFunction = Tensor (*)(const Tensor&, int64_t);

LayerType ByFactor(const char* name, FactorFunction function) {
  return Leaf([=](Options& options, Scope&) -> absl::StatusOr<Layer> {
    const int64_t factor = options.Size(name);
    RETURN_IF_ERROR(options.Done());
    return PureLayer([=](const Tensor& x) { return function(x, factor); });
  });
}

// `mode` is that of torch's pad.
LayerType Pad(int64_t rank, const char* mode, bool has_value) {
  return Leaf([=](Options& options, Scope&) -> absl::StatusOr<Layer> {
    const Sizes padding = options.Tuple("padding", 2 * rank, -kMostSize);
    std::optional<double> value;
    if (has_value) value = options.Number("value");
    RETURN_IF_ERROR(options.Done());
    const std::string type = options.type();
    return PureLayer([=](const Tensor& x) {
      TORCH_CHECK(x.dim() >= rank, type, " takes at least ", rank,
                  " dimensions, the input has shape ", x.sizes());
      return at::pad(x, padding, mode, value);
    });
  });
}

using Interpolation = torch::nn::functional::InterpolateFuncOptions;

Interpolation::mode_t ModeOf(const std::string& mode) {
  if (mode == "linear") return torch::kLinear;
  if (mode == "bilinear") return torch::kBilinear;
  if (mode == "bicubic") return torch::kBicubic;
  if (mode == "trilinear") return torch::kTrilinear;
  if (mode == "nearest-exact") return torch::kNearestExact;
  return torch::kNearest;
}

// A number stands for each of the input's dimensions behind the channels.
template <typename Number>
std::vector<Number> ForEachDimension(const std::vector<Number>& numbers,
                                     const Tensor& input) {
  if (numbers.size() != 1 || input.dim() < 3) return numbers;
  return std::vector<Number>(input.dim() - 2, numbers[0]);
}

struct Upsampling {
  std::optional<Sizes> size;
  std::optional<std::vector<double>> factors;
  Interpolation options;

  Tensor operator()(const Tensor& input) const {
    TORCH_CHECK(input.dim() >= 3 && input.dim() <= 5,
                "Upsample takes 3 to 5 dimensions, the input has shape ",
                input.sizes());
    Interpolation call = options;
    if (size.has_value()) call.size(ForEachDimension(*size, input));
    if (factors.has_value()) {
      call.scale_factor(ForEachDimension(*factors, input));
    }
    return torch::nn::functional::interpolate(input, call);
  }
};

absl::StatusOr<Layer> MakeUpsample(Options& options, Scope&) {
  Upsampling upsampling;
  if (options.OptionalNumbers("size").has_value()) {
    upsampling.size = options.List("size", 1);
  }
  upsampling.factors = options.OptionalNumbers("scale_factor");
  options.Require(upsampling.size.has_value() != upsampling.factors.has_value(),
                  "size", "either size or scale_factor has to be given");
  for (const double factor :
       upsampling.factors.value_or(std::vector<double>{})) {
    options.Require(factor > 0, "scale_factor", "must be above 0");
  }
  const std::string mode =
      options.ChoiceOr("mode", "nearest",
                       {"nearest", "linear", "bilinear", "bicubic", "trilinear",
                        "nearest-exact"});
  const std::optional<bool> align = options.OptionalFlag("align_corners");
  options.Require(!align.has_value() || mode.substr(0, 7) != "nearest",
                  "align_corners", "is no option of the mode 'nearest'");
  const std::optional<bool> recompute =
      options.OptionalFlag("recompute_scale_factor");
  options.Require(!recompute.value_or(false) || upsampling.factors.has_value(),
                  "recompute_scale_factor", "needs a scale_factor");
  RETURN_IF_ERROR(options.Done());
  upsampling.options.mode(ModeOf(mode));
  if (align.has_value()) upsampling.options.align_corners(align);
  if (recompute.has_value()) {
    upsampling.options.recompute_scale_factor(recompute);
  }
  return PureLayer(std::move(upsampling));
}

}  // namespace

void AddReshapingLayers(LayerTable& table) {
  table["ChannelShuffle"] = ByFactor("groups", at::channel_shuffle);
  table["Flatten"] = Leaf(MakeFlatten);
  table["PixelShuffle"] = ByFactor("upscale_factor", at::pixel_shuffle);
  table["PixelUnshuffle"] = ByFactor("downscale_factor", at::pixel_unshuffle);
  table["Unflatten"] = Leaf(MakeUnflatten);
  table["Upsample"] = Leaf(MakeUpsample);
  for (const int64_t rank : {1, 2, 3}) {
    table[absl::StrCat("CircularPad", rank, "d")] =
        Pad(rank, "circular", false);
    table[absl::StrCat("ConstantPad", rank, "d")] = Pad(rank, "constant", true);
    table[absl::StrCat("ReflectionPad", rank, "d")] =
        Pad(rank, "reflect", false);
    table[absl::StrCat("ReplicationPad", rank, "d")] =
        Pad(rank, "replicate", false);
    table[absl::StrCat("ZeroPad", rank, "d")] = Pad(rank, "constant", false);
  }
}

}  // namespace warmstart::backend::declared
