// Conv1d to 3d and ConvTranspose1d to 3d.

#include <ATen/Functions.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/declared/checks.h"
#include "server/torch/declared/layer_table.h"

namespace warmstart::backend::declared {
namespace {

using at::Tensor;

// What Conv and ConvTranspose have in common.
struct Convolution {
  std::string type;
  int64_t rank = 1;
  int64_t in_channels = 1;
  int64_t out_channels = 1;
  Sizes kernel, stride, padding, dilation;
  int64_t groups = 1;
  bool has_bias = true;
  DType dtype = DType::kFloat32;
  StateIndex weight, bias;

  void RequireInput(const Pass& pass, const Tensor& input) const {
    RequireChannels(type, in_channels, rank, input);
    RequireTypeOf(type, pass[weight], input);
  }
};

Convolution ReadConvolution(Options& options, int64_t rank) {
  Convolution conv;
  conv.type = options.type();
  conv.rank = rank;
  conv.in_channels = options.Size("in_channels");
  conv.out_channels = options.Size("out_channels");
  conv.kernel = options.Tuple("kernel_size", rank, 1);
  conv.stride = options.TupleOr("stride", rank, 1, 1);
  conv.dilation = options.TupleOr("dilation", rank, 1, 1);
  conv.groups = options.SizeOr("groups", 1);
  conv.has_bias = options.FlagOr("bias", true);
  conv.dtype = options.FloatType();
  const auto require_multiple = [&](const char* name, int64_t channels) {
    options.Require(channels % conv.groups == 0, "groups",
                    absl::StrCat("must divide ", name, ", which is ", channels,
                                 ", is ", conv.groups));
  };
  require_multiple("in_channels", conv.in_channels);
  require_multiple("out_channels", conv.out_channels);
  return conv;
}

// Draws as _ConvNd.reset_parameters() does.
void Declare(Scope& scope, int64_t first, int64_t second, Convolution& conv) {
  Sizes sizes = {first, second};
  sizes.insert(sizes.end(), conv.kernel.begin(), conv.kernel.end());
  conv.weight =
      scope.Parameter("weight", conv.dtype, sizes, KaimingUniformInit{});
  if (!conv.has_bias) return;
  // What the blueprint holds has been checked for overflow.
  const int64_t fan_in = scope.spec(conv.weight).num_elements() / first;
  conv.bias = scope.Parameter("bias", conv.dtype, {conv.out_channels},
                              FanInUniformInit{fan_in});
}

// How many zeros "same" needs on both sides of each dimension, the last one
// first, as torch's pad takes them. The odd one goes behind.
Sizes SamePadding(const Convolution& conv) {
  Sizes padding;
  for (int64_t i = conv.rank - 1; i >= 0; --i) {
    const int64_t total = conv.dilation[i] * (conv.kernel[i] - 1);
    padding.push_back(total / 2);
    padding.push_back(total - total / 2);
  }
  return padding;
}

Sizes BothSides(const Sizes& padding) {
  Sizes both;
  for (auto size = padding.rbegin(); size != padding.rend(); ++size) {
    both.insert(both.end(), {*size, *size});
  }
  return both;
}

// `padding` is a size for each dimension, or "same".
template <typename Padding>
Tensor Convolve(const Pass& pass, const Convolution& conv, const Tensor& input,
                const Padding& padding) {
  const auto call = [&](auto function) {
    return function(input, pass[conv.weight], pass[conv.bias], conv.stride,
                    padding, conv.dilation, conv.groups);
  };
  switch (conv.rank) {
    case 1:
      return call([](auto&&... args) { return at::conv1d(args...); });
    case 2:
      return call([](auto&&... args) { return at::conv2d(args...); });
    default:
      return call([](auto&&... args) { return at::conv3d(args...); });
  }
}

// The padding of a Conv: in sizes, or the word "same".
struct ConvPadding {
  bool same = false;
  std::string mode;  // "constant" where it is zeros
};

ConvPadding ReadPadding(Options& options, Convolution& conv) {
  ConvPadding padding;
  if (options.IsText("padding")) {
    padding.same =
        options.ChoiceOr("padding", "valid", {"same", "valid"}) == "same";
    conv.padding.assign(conv.rank, 0);
    const bool strided =
        std::any_of(conv.stride.begin(), conv.stride.end(),
                    [](int64_t stride) { return stride != 1; });
    options.Require(!padding.same || !strided, "padding",
                    "'same' is not supported for strided convolutions");
  } else {
    conv.padding = options.TupleOr("padding", conv.rank, 0, 0);
  }
  const std::string mode = options.ChoiceOr(
      "padding_mode", "zeros", {"zeros", "reflect", "replicate", "circular"});
  padding.mode = mode == "zeros" ? "constant" : mode;
  return padding;
}

LayerType Conv(int64_t rank) {
  return Leaf([rank](Options& options, Scope& scope) -> absl::StatusOr<Layer> {
    Convolution conv = ReadConvolution(options, rank);
    const ConvPadding padding = ReadPadding(options, conv);
    RETURN_IF_ERROR(options.Done());
    Declare(scope, conv.out_channels, conv.in_channels / conv.groups, conv);
    if (padding.mode != "constant") {
      const Sizes sides =
          padding.same ? SamePadding(conv) : BothSides(conv.padding);
      return TensorLayer([=](const Pass& pass, const Tensor& input) {
        conv.RequireInput(pass, input);
        return Convolve(pass, conv, at::pad(input, sides, padding.mode),
                        Sizes(conv.rank, 0));
      });
    }
    return TensorLayer([=](const Pass& pass, const Tensor& input) {
      conv.RequireInput(pass, input);
      return padding.same
                 ? Convolve(pass, conv, input, c10::string_view("same"))
                 : Convolve(pass, conv, input, conv.padding);
    });
  });
}

LayerType ConvTranspose(int64_t rank) {
  return Leaf([rank](Options& options, Scope& scope) -> absl::StatusOr<Layer> {
    Convolution conv = ReadConvolution(options, rank);
    conv.padding = options.TupleOr("padding", rank, 0, 0);
    const Sizes output_padding = options.TupleOr("output_padding", rank, 0, 0);
    options.ChoiceOr("padding_mode", "zeros", {"zeros"});
    RETURN_IF_ERROR(options.Done());
    Declare(scope, conv.in_channels, conv.out_channels / conv.groups, conv);
    return TensorLayer([=](const Pass& pass, const Tensor& input) {
      conv.RequireInput(pass, input);
      const auto call = [&](auto function) {
        return function(input, pass[conv.weight], pass[conv.bias], conv.stride,
                        conv.padding, output_padding, conv.groups,
                        conv.dilation);
      };
      switch (conv.rank) {
        case 1:
          return call(
              [](auto&&... args) { return at::conv_transpose1d(args...); });
        case 2:
          return call(
              [](auto&&... args) { return at::conv_transpose2d(args...); });
        default:
          return call(
              [](auto&&... args) { return at::conv_transpose3d(args...); });
      }
    });
  });
}

}  // namespace

void AddConvolutionLayers(LayerTable& table) {
  for (const int64_t rank : {1, 2, 3}) {
    table[absl::StrCat("Conv", rank, "d")] = Conv(rank);
    table[absl::StrCat("ConvTranspose", rank, "d")] = ConvTranspose(rank);
  }
}

}  // namespace warmstart::backend::declared
