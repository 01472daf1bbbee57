// MaxPool, AvgPool and the adaptive ones, 1d to 3d.

#include <ATen/Functions.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/torch/declared/layer_table.h"

namespace warmstart::backend::declared {
namespace {

using at::Tensor;

// Picks the function for a number of dimensions; calls it with `args`.
#define WARMSTART_BY_RANK(rank, function, ...)   \
  ((rank) == 1   ? at::function##1d(__VA_ARGS__) \
   : (rank) == 2 ? at::function##2d(__VA_ARGS__) \
                 : at::function##3d(__VA_ARGS__))

void RequireRank(const std::string& type, int64_t rank, const Tensor& input) {
  TORCH_CHECK(input.dim() == rank + 1 || input.dim() == rank + 2, type,
              " takes ", rank + 1, " or ", rank + 2,
              " dimensions, the input has shape ", input.sizes());
}

void RefuseIndices(Options& options) {
  options.Require(!options.FlagOr("return_indices", false), "return_indices",
                  "is not supported: a layer's one output is passed on");
}

LayerType MaxPool(int64_t rank) {
  return Leaf([rank](Options& options, Scope&) -> absl::StatusOr<Layer> {
    const std::string type = options.type();
    const Sizes kernel = options.Tuple("kernel_size", rank, 1);
    const Sizes stride =
        options.OptionalTuple("stride", rank, 1).value_or(kernel);
    const Sizes padding = options.TupleOr("padding", rank, 0, 0);
    const Sizes dilation = options.TupleOr("dilation", rank, 1, 1);
    RefuseIndices(options);
    const bool ceil_mode = options.FlagOr("ceil_mode", false);
    RETURN_IF_ERROR(options.Done());
    return PureLayer([=](const Tensor& input) {
      RequireRank(type, rank, input);
      return WARMSTART_BY_RANK(rank, max_pool, input, kernel, stride, padding,
                               dilation, ceil_mode);
    });
  });
}

LayerType AvgPool(int64_t rank) {
  return Leaf([rank](Options& options, Scope&) -> absl::StatusOr<Layer> {
    const std::string type = options.type();
    const Sizes kernel = options.Tuple("kernel_size", rank, 1);
    const Sizes stride =
        options.OptionalTuple("stride", rank, 1).value_or(kernel);
    const Sizes padding = options.TupleOr("padding", rank, 0, 0);
    const bool ceil_mode = options.FlagOr("ceil_mode", false);
    const bool count_pad = options.FlagOr("count_include_pad", true);
    std::optional<int64_t> divisor;
    if (rank > 1) divisor = options.OptionalSize("divisor_override");
    RETURN_IF_ERROR(options.Done());
    return PureLayer([=](const Tensor& input) {
      RequireRank(type, rank, input);
      if (rank == 1) {
        return at::avg_pool1d(input, kernel, stride, padding, ceil_mode,
                              count_pad);
      }
      return rank == 2 ? at::avg_pool2d(input, kernel, stride, padding,
                                        ceil_mode, count_pad, divisor)
                       : at::avg_pool3d(input, kernel, stride, padding,
                                        ceil_mode, count_pad, divisor);
    });
  });
}

using OutputSize = std::vector<std::optional<int64_t>>;

// None stands for what the input has there.
Sizes Resolve(const OutputSize& output_size, const Tensor& input) {
  Sizes sizes;
  const int64_t rank = static_cast<int64_t>(output_size.size());
  for (int64_t i = 0; i < rank; ++i) {
    sizes.push_back(output_size[i].value_or(input.size(i - rank)));
  }
  return sizes;
}

LayerType AdaptiveAvgPool(int64_t rank) {
  return Leaf([rank](Options& options, Scope&) -> absl::StatusOr<Layer> {
    const std::string type = options.type();
    const OutputSize size = options.TupleWithNones("output_size", rank);
    RETURN_IF_ERROR(options.Done());
    return PureLayer([=](const Tensor& input) {
      RequireRank(type, rank, input);
      const Sizes sizes = Resolve(size, input);
      return WARMSTART_BY_RANK(rank, adaptive_avg_pool, input, sizes);
    });
  });
}

LayerType AdaptiveMaxPool(int64_t rank) {
  return Leaf([rank](Options& options, Scope&) -> absl::StatusOr<Layer> {
    const std::string type = options.type();
    const OutputSize size = options.TupleWithNones("output_size", rank);
    RefuseIndices(options);
    RETURN_IF_ERROR(options.Done());
    return PureLayer([=](const Tensor& input) {
      RequireRank(type, rank, input);
      const Sizes sizes = Resolve(size, input);
      const auto result =
          WARMSTART_BY_RANK(rank, adaptive_max_pool, input, sizes);
      return std::get<0>(result);
    });
  });
}

#undef WARMSTART_BY_RANK

}  // namespace

void AddPoolingLayers(LayerTable& table) {
  for (const int64_t rank : {1, 2, 3}) {
    table[absl::StrCat("AdaptiveAvgPool", rank, "d")] = AdaptiveAvgPool(rank);
    table[absl::StrCat("AdaptiveMaxPool", rank, "d")] = AdaptiveMaxPool(rank);
    table[absl::StrCat("AvgPool", rank, "d")] = AvgPool(rank);
    table[absl::StrCat("MaxPool", rank, "d")] = MaxPool(rank);
  }
}

}  // namespace warmstart::backend::declared
