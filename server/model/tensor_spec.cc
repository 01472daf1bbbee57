#include "server/model/tensor_spec.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace warmstart {
namespace {

std::string Join(absl::Span<const int64_t> sizes) {
  return absl::StrCat("[", absl::StrJoin(sizes, ", "), "]");
}

}  // namespace

absl::StatusOr<Shape> Shape::Create(std::vector<int64_t> sizes) {
  if (sizes.size() > kMaxRank) {
    return absl::InvalidArgumentError(absl::StrCat("shape has ", sizes.size(),
                                                   " dimensions; at most ",
                                                   kMaxRank, " are allowed"));
  }
  // A zero anywhere makes the product zero, but the other sizes must not
  // overflow on the way either: strides are computed from them.
  int64_t product = 1;
  for (int64_t size : sizes) {
    if (size < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("shape ", Join(sizes), " has a negative size"));
    }
    if (__builtin_mul_overflow(product, std::max<int64_t>(size, 1), &product)) {
      return absl::InvalidArgumentError(
          absl::StrCat("shape ", Join(sizes), " overflows"));
    }
  }
  return Shape(std::move(sizes));
}

int64_t Shape::num_elements() const {
  int64_t product = 1;
  for (int64_t size : sizes_) product *= size;
  return product;
}

std::vector<int64_t> Shape::ContiguousStrides() const {
  std::vector<int64_t> strides(sizes_.size());
  int64_t stride = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= std::max<int64_t>(sizes_[i], 1);
  }
  return strides;
}

std::string Shape::ToTorchString() const {
  return absl::StrCat("torch.Size(", Join(sizes_), ")");
}

std::string Shape::ToString() const { return Join(sizes_); }

absl::StatusOr<TensorSpec> TensorSpec::Create(DType dtype, Shape shape) {
  int64_t extent = DTypeSize(dtype);
  for (int64_t size : shape.sizes()) {
    if (__builtin_mul_overflow(extent, std::max<int64_t>(size, 1), &extent)) {
      return absl::InvalidArgumentError(
          absl::StrCat("a ", DTypeName(dtype), " tensor of shape ",
                       shape.ToString(), " overflows"));
    }
  }
  return TensorSpec(dtype, std::move(shape));
}

std::string TensorSpec::ToString() const {
  return absl::StrCat(DTypeName(dtype_), " ", shape_.ToString());
}

}  // namespace warmstart
