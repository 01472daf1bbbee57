#include "server/torch/declared/checks.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend::declared {

std::string TypeNameOf(const at::Tensor& tensor) {
  const absl::StatusOr<DType> dtype = ToDType(tensor.scalar_type());
  return dtype.ok() ? std::string(DTypeName(*dtype))
                    : std::string(c10::toString(tensor.scalar_type()));
}

void RequireTypeOf(const std::string& layer, const at::Tensor& parameter,
                   const at::Tensor& input) {
  TORCH_CHECK(parameter.scalar_type() == input.scalar_type(), layer,
              " takes what its parameters are, ", TypeNameOf(parameter),
              ", the input is ", TypeNameOf(input));
}

void RequireLast(const std::string& layer, absl::Span<const int64_t> sizes,
                 const at::Tensor& input) {
  const at::IntArrayRef given = input.sizes();
  const bool fits =
      given.size() >= sizes.size() &&
      std::equal(sizes.begin(), sizes.end(), given.end() - sizes.size());
  TORCH_CHECK(fits, layer, " takes ", absl::StrJoin(sizes, " x "),
              " features in the last ",
              sizes.size() == 1 ? std::string("dimension")
                                : absl::StrCat(sizes.size(), " dimensions"),
              ", the input has shape ", given);
}

void RequireChannels(const std::string& layer, int64_t channels, int64_t rank,
                     const at::Tensor& input) {
  const bool batched = input.dim() == rank + 2;
  const bool unbatched = input.dim() == rank + 1;
  const bool fits = (batched && input.size(1) == channels) ||
                    (unbatched && input.size(0) == channels);
  static constexpr const char* kSpatial[] = {"", ", L", ", H, W", ", D, H, W"};
  TORCH_CHECK(fits, layer, " takes a shape of [N, ", channels, kSpatial[rank],
              "] or [", channels, kSpatial[rank], "], the input has shape ",
              input.sizes());
}

}  // namespace warmstart::backend::declared
