// Shape and TensorSpec: what is known of a tensor besides its values.

#ifndef WARMSTART_SERVER_MODEL_TENSOR_SPEC_H_
#define WARMSTART_SERVER_MODEL_TENSOR_SPEC_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/dtype.h"

namespace warmstart {

// The sizes of a tensor's dimensions, outermost first. Every size is at least
// 0 and the number of elements fits in an int64; Create checks both, so that
// nobody who holds a Shape has to. A default Shape is that of a scalar.
class Shape {
 public:
  // As many as PyTorch's own limit for most kernels.
  static constexpr int kMaxRank = 64;

  Shape() = default;

  // INVALID_ARGUMENT for a negative size, more than kMaxRank dimensions, or a
  // product that overflows.
  static absl::StatusOr<Shape> Create(std::vector<int64_t> sizes);

  absl::Span<const int64_t> sizes() const { return sizes_; }
  int rank() const { return static_cast<int>(sizes_.size()); }
  int64_t num_elements() const;

  // The strides, in elements, of a contiguous tensor of this shape, as PyTorch
  // computes them (a dimension of size 0 counts as 1).
  std::vector<int64_t> ContiguousStrides() const;

  // As PyTorch prints it: "torch.Size([10, 16])".
  std::string ToTorchString() const;
  // As people write it: "[10, 16]".
  std::string ToString() const;

  friend bool operator==(const Shape& a, const Shape& b) {
    return a.sizes_ == b.sizes_;
  }
  friend bool operator!=(const Shape& a, const Shape& b) { return !(a == b); }

 private:
  explicit Shape(std::vector<int64_t> sizes) : sizes_(std::move(sizes)) {}

  std::vector<int64_t> sizes_;
};

// A tensor's type and shape. Create checks that its size in bytes fits in an
// int64.
class TensorSpec {
 public:
  TensorSpec() = default;

  static absl::StatusOr<TensorSpec> Create(DType dtype, Shape shape);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t num_elements() const { return shape_.num_elements(); }
  // Bytes of its values, stored contiguously.
  int64_t num_bytes() const {
    return shape_.num_elements() * DTypeSize(dtype_);
  }
  // "float32 [10, 16]"
  std::string ToString() const;

  friend bool operator==(const TensorSpec& a, const TensorSpec& b) {
    return a.dtype_ == b.dtype_ && a.shape_ == b.shape_;
  }
  friend bool operator!=(const TensorSpec& a, const TensorSpec& b) {
    return !(a == b);
  }

 private:
  TensorSpec(DType dtype, Shape shape)
      : dtype_(dtype), shape_(std::move(shape)) {}

  DType dtype_ = DType::kFloat32;
  Shape shape_;
};

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_TENSOR_SPEC_H_
