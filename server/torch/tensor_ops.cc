#include "server/torch/tensor_ops.h"

#include <ATen/Functions.h>

#include <cmath>
#include <cstdint>
#include <utility>

#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {
namespace {

// Patches of more pixels than these would take a matrix that no model needs,
// and no server has the memory for.
constexpr int64_t kMaxResizeMatrix = int64_t{1} << 26;

// Two vectors whose cosine is beyond it count as parallel: the sine that
// spherical interpolation divides by comes close to 0.
constexpr double kParallelCosine = 0.9995;

at::Tensor IndexTensor(const std::vector<int64_t>& indices, at::Device device) {
  return at::tensor(indices, at::kLong).to(device);
}

// A contiguous copy, which may be written to.
at::Tensor Copy(const at::Tensor& tensor) {
  return BitsOf(tensor)
      .clone(at::MemoryFormat::Contiguous)
      .view(tensor.scalar_type());
}

// Applies one operation. `type` is the result's, which is the one that
// arithmetic is done in.
class Operation {
 public:
  Operation(at::ScalarType type, std::vector<at::Tensor> operands)
      : type_(type), operands_(std::move(operands)) {}

  at::Tensor operator()(const SourceOp&) { return NoLeaf(); }
  at::Tensor operator()(const FreshOp&) { return NoLeaf(); }

  at::Tensor operator()(const PermuteOp& op) {
    return First().permute(
        std::vector<int64_t>(op.dims.begin(), op.dims.end()));
  }
  at::Tensor operator()(const ReshapeOp& op) {
    return BitsOf(First()).reshape(ToSizes(op.shape)).view(type_);
  }
  at::Tensor operator()(const SliceOp& op) {
    return First().narrow(op.dim, op.start, op.length);
  }
  at::Tensor operator()(const SelectOp& op) {
    return BitsOf(First())
        .index_select(op.dim, IndexTensor(op.indices, First().device()))
        .view(type_);
  }
  at::Tensor operator()(const ExpandOp& op) {
    return First().expand(ToSizes(op.shape));
  }

  at::Tensor operator()(const ConcatOp& op) {
    std::vector<at::Tensor> bits;
    bits.reserve(operands_.size());
    for (const at::Tensor& operand : operands_) bits.push_back(BitsOf(operand));
    return at::cat(bits, op.dim).view(type_);
  }

  at::Tensor operator()(const OverwriteOp& op) {
    at::Tensor result = Copy(First());
    const at::Tensor block = BlockInType();
    at::Tensor region = BitsOf(result);
    for (int64_t dim = 0; dim < block.dim(); ++dim) {
      region = region.narrow(dim, op.starts[dim], block.size(dim));
    }
    region.copy_(BitsOf(block));
    return result;
  }

  at::Tensor operator()(const ReplaceOp& op) {
    at::Tensor result = Copy(First());
    BitsOf(result).index_copy_(op.dim, IndexTensor(op.indices, result.device()),
                               BitsOf(BlockInType()));
    return result;
  }

  at::Tensor operator()(const ScaleOp& op) { return Number(0).mul(op.factor); }

  at::Tensor operator()(const ScaleAlongOp& op) {
    std::vector<int64_t> sizes(First().dim(), 1);
    sizes[op.dim] = First().size(op.dim);
    return Number(0).mul(at::tensor(op.factors, at::kDouble)
                             .to(type_)
                             .to(First().device())
                             .view(sizes));
  }

  at::Tensor operator()(const SumOp& op) {
    return Number(0).sum({op.dim}, /*keepdim=*/true);
  }
  at::Tensor operator()(const MeanOp& op) {
    return Number(0).mean({op.dim}, /*keepdim=*/true);
  }

  // One product and one sum after the other, as Python's `a * w + b * v` has
  // it; a fused multiply-add would round differently.
  at::Tensor operator()(const LinearCombinationOp& op) {
    at::Tensor sum;
    for (size_t i = 0; i < operands_.size(); ++i) {
      at::Tensor term = Number(i).mul(op.weights[i]);
      operands_[i].reset();
      sum = sum.defined() ? sum.add_(term) : std::move(term);
    }
    return sum;
  }

  at::Tensor operator()(const SlerpOp& op) {
    const at::Tensor from = Number(0);
    const at::Tensor to = Number(1);
    const double lengths = Length(from) * Length(to);
    const double dot = from.mul(to).sum(at::kDouble).item<double>();
    const double cosine = lengths > 0 ? dot / lengths : 1;
    // Not finite where a value is not, and then the line keeps it in sight.
    if (!(std::abs(cosine) <= kParallelCosine)) {
      return from.mul(1 - op.t).add_(to.mul(op.t));
    }
    const double angle = std::acos(cosine);
    const double sine = std::sin(angle);
    return from.mul(std::sin((1 - op.t) * angle) / sine)
        .add_(to.mul(std::sin(op.t * angle) / sine));
  }

  at::Tensor operator()(const MatMulOp&) { return Number(0).mm(Number(1)); }

  at::Tensor operator()(const InterpolateOp& op) {
    const at::Tensor input = Number(0);
    switch (op.mode) {
      case InterpolateOp::Mode::kLinear:
        return at::upsample_linear1d(input, op.sizes, op.align_corners);
      case InterpolateOp::Mode::kBilinear:
        return op.antialias
                   ? at::_upsample_bilinear2d_aa(input, op.sizes,
                                                 op.align_corners)
                   : at::upsample_bilinear2d(input, op.sizes, op.align_corners);
      case InterpolateOp::Mode::kBicubic:
        return op.antialias
                   ? at::_upsample_bicubic2d_aa(input, op.sizes,
                                                op.align_corners)
                   : at::upsample_bicubic2d(input, op.sizes, op.align_corners);
    }
    return input;
  }

  // A kernel k for patches p of the old size becomes one for patches of the new
  // size by k R+, where R is the resize of flattened patches as a matrix: then
  // the dot product with a resized patch stays what it was, as well as that can
  // be.
  at::Tensor operator()(const ResamplePatchOp& op) {
    const at::Tensor kernels = Number(0);
    const int64_t height = kernels.size(2);
    const int64_t width = kernels.size(3);
    if (height == op.height && width == op.width) return kernels;
    const at::Tensor inverse =
        at::linalg_pinv(ResizeMatrix({height, width}, {op.height, op.width}));
    return kernels.reshape({kernels.size(0), kernels.size(1), height * width})
        .matmul(inverse)
        .reshape({kernels.size(0), kernels.size(1), op.height, op.width});
  }

  at::Tensor operator()(const CastOp&) { return First().to(type_); }

 private:
  struct Size {
    int64_t height;
    int64_t width;
    int64_t area() const { return height * width; }
  };

  const at::Tensor& First() const { return operands_[0]; }

  // Operand i in the type that arithmetic is done in.
  at::Tensor Number(size_t i) const { return operands_[i].to(type_); }

  // Operand 1 in the type of operand 0.
  at::Tensor BlockInType() const { return operands_[1].to(type_); }

  static double Length(const at::Tensor& vector) {
    return std::sqrt(vector.mul(vector).sum(at::kDouble).item<double>());
  }

  // What bicubic, antialiased interpolation does to each pixel alone:
  // [new pixels, old pixels].
  at::Tensor ResizeMatrix(Size old_size, Size new_size) const {
    TORCH_CHECK(old_size.height <= kMaxResizeMatrix &&
                    old_size.width <= kMaxResizeMatrix &&
                    new_size.height <= kMaxResizeMatrix &&
                    new_size.width <= kMaxResizeMatrix &&
                    IsSmall(old_size, old_size) && IsSmall(old_size, new_size),
                "patches of ", old_size.height, " x ", old_size.width, " and ",
                new_size.height, " x ", new_size.width, " are too large");
    const at::Tensor pixels =
        at::eye(old_size.area(), First().options().dtype(type_))
            .reshape({old_size.area(), 1, old_size.height, old_size.width});
    return at::_upsample_bicubic2d_aa(pixels, {new_size.height, new_size.width},
                                      /*align_corners=*/false)
        .squeeze(1)
        .permute({1, 2, 0})
        .reshape({new_size.area(), old_size.area()});
  }

  // Sides are checked before, so that areas do not overflow.
  static bool IsSmall(Size a, Size b) {
    return a.area() <= kMaxResizeMatrix && b.area() <= kMaxResizeMatrix &&
           a.area() * b.area() <= kMaxResizeMatrix;
  }

  static at::Tensor NoLeaf() { TORCH_CHECK(false, "a leaf is no operation"); }

  const at::ScalarType type_;
  std::vector<at::Tensor> operands_;
};

}  // namespace

at::Tensor Apply(const Derivation& node, std::vector<at::Tensor> operands) {
  return std::visit(
      Operation(ToScalarType(node.spec.dtype()), std::move(operands)), node.op);
}

}  // namespace warmstart::backend
