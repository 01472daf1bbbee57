// Derivation: how a tensor of the target is computed from tensors of the
// sources.
//
// A derivation is a tree of operations whose leaves are tensors of sources, or
// the target's own fresh values. It is made from metadata alone: each node
// knows its dtype and shape before a byte is read, and Derive() refuses what
// cannot be computed. The planner builds derivations; server/torch computes
// them.

#ifndef WARMSTART_SERVER_MODEL_DERIVATION_H_
#define WARMSTART_SERVER_MODEL_DERIVATION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/dtype.h"
#include "server/model/tensor_spec.h"

namespace warmstart {

// Leaves.

// Tensor `entry` of the manifest of source `source`.
struct SourceOp {
  int32_t source = 0;
  int64_t entry = 0;
  friend bool operator==(const SourceOp&, const SourceOp&) = default;
};
// The values that the target's tensor would have were it not loaded.
struct FreshOp {};

// Operations that move values, and keep the dtype. Dimensions count from 0.

struct PermuteOp {  // torch.permute
  std::vector<int> dims;
};
struct ReshapeOp {  // torch.reshape, of a contiguous tensor
  Shape shape;
};
struct SliceOp {  // torch.narrow
  int dim = 0;
  int64_t start = 0;
  int64_t length = 0;
};
struct SelectOp {  // torch.index_select
  int dim = 0;
  std::vector<int64_t> indices;
};
struct ExpandOp {  // torch.expand: dimensions of size 1 are repeated
  Shape shape;
};
struct ConcatOp {  // torch.cat; at least one operand
  int dim = 0;
};
// Operand 0, in which the block that begins at `starts` is replaced by operand
// 1, cast to operand 0's dtype.
struct OverwriteOp {
  std::vector<int64_t> starts;
};
// Operand 0, of whose slices along `dim` the one at indices[i] is replaced by
// operand 1's slice i (torch.index_copy), cast to operand 0's dtype.
struct ReplaceOp {
  int dim = 0;
  std::vector<int64_t> indices;
};

// Arithmetic. It is done, and its result is, in float64 where an operand is, in
// complex128 or complex64 where an operand is complex, and else in float32:
// what follows rounds once, at the end.

struct ScaleOp {
  double factor = 1;
};
// Slice i along `dim` is multiplied by factors[i].
struct ScaleAlongOp {
  int dim = 0;
  std::vector<double> factors;
};
struct SumOp {  // torch.sum(keepdim=True)
  int dim = 0;
};
struct MeanOp {  // torch.mean(keepdim=True)
  int dim = 0;
};
// The sum of the operands, operand i times weights[i]; of one shape all.
struct LinearCombinationOp {
  std::vector<double> weights;
};
// Spherical interpolation from operand 0 (t = 0) to operand 1 (t = 1), each
// taken as one vector; linear where they are parallel.
struct SlerpOp {
  double t = 0;
};
struct MatMulOp {};  // of two matrices
// torch.nn.functional.interpolate of operand 0, [N, C, spatial...], to `sizes`.
// linear is for one spatial dimension, bilinear and bicubic are for two.
struct InterpolateOp {
  enum class Mode { kLinear, kBilinear, kBicubic };

  std::vector<int64_t> sizes;
  Mode mode = Mode::kBicubic;
  bool align_corners = false;
  bool antialias = false;  // not for linear
};
// FlexiViT's resize of patch embeddings, [out, in, height, width], by the
// pseudoinverse of a bicubic, antialiased resize, as timm's
// resample_patch_embed does it.
struct ResamplePatchOp {
  int64_t height = 0;
  int64_t width = 0;
};

struct CastOp {  // torch.Tensor.copy_ into a tensor of this dtype
  DType dtype = DType::kFloat32;
};

using TensorOp =
    std::variant<SourceOp, FreshOp, PermuteOp, ReshapeOp, SliceOp, SelectOp,
                 ExpandOp, ConcatOp, OverwriteOp, ReplaceOp, ScaleOp,
                 ScaleAlongOp, SumOp, MeanOp, LinearCombinationOp, SlerpOp,
                 MatMulOp, InterpolateOp, ResamplePatchOp, CastOp>;

struct Derivation;
// Never null where a derivation is promised. Trees may share nodes.
using DerivationPtr = std::shared_ptr<const Derivation>;

struct Derivation {
  TensorOp op;
  std::vector<DerivationPtr> operands;
  TensorSpec spec;  // of the result
  int depth = 1;    // of the tree
};

// A deeper tree is refused, so that recursion over one is safe.
inline constexpr int kMaxDerivationDepth = 200;

// The leaves.
DerivationPtr SourceTensor(int32_t source, int64_t entry, TensorSpec spec);
DerivationPtr FreshTensor(TensorSpec spec);

// An inner node. INVALID_ARGUMENT, with a sentence about what does not fit (a
// dimension that is not there, shapes that differ), when it cannot be computed.
absl::StatusOr<DerivationPtr> Derive(TensorOp op,
                                     std::vector<DerivationPtr> operands);

// The source tensor that `value` is, unchanged; null where it is computed.
const SourceOp* AsSourceTensor(const Derivation& value);

// `value` without the reshapes on top of it, which change no byte: what is left
// may be a source tensor.
const Derivation& WithoutReshapes(const Derivation& value);

// Whether a result depends on arithmetic: then bits may differ between devices.
bool IsArithmetic(const Derivation& value);

// Whether a part of `value` is fresh.
bool UsesFreshValues(const Derivation& value);

// Every source tensor that `value` is computed from, each once, in the order of
// the leaves.
absl::InlinedVector<SourceOp, 1> SourcesOf(const Derivation& value);

// "concat(fc1.weight, permute(fc2.weight, [1, 0]), dim=0)". `name_of` names the
// source tensors. What is longer than kMaxDerivationText is cut, and ends in
// "...".
inline constexpr size_t kMaxDerivationText = 2048;
std::string DerivationToString(
    const Derivation& value,
    absl::FunctionRef<std::string(const SourceOp&)> name_of);

// The operation by itself: "permute", "[1, 0]"; the latter may be empty.
absl::string_view OpName(const TensorOp& op);
std::string OpArguments(const TensorOp& op);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_DERIVATION_H_
