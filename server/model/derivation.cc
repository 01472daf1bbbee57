#include "server/model/derivation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"

namespace warmstart {
namespace {

using Operands = std::vector<DerivationPtr>;

absl::Status Refused(const TensorOp& op, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(OpName(op), ": ", problem));
}

bool IsComplexType(DType dtype) {
  return dtype == DType::kComplex32 || dtype == DType::kComplex64 ||
         dtype == DType::kComplex128;
}

bool IsWide(DType dtype) {
  return dtype == DType::kFloat64 || dtype == DType::kComplex128;
}

// The dtype that arithmetic on `operands` is done in.
DType ArithmeticType(const Operands& operands) {
  bool complex = false;
  bool wide = false;
  for (const DerivationPtr& operand : operands) {
    complex = complex || IsComplexType(operand->spec.dtype());
    wide = wide || IsWide(operand->spec.dtype());
  }
  if (complex) return wide ? DType::kComplex128 : DType::kComplex64;
  return wide ? DType::kFloat64 : DType::kFloat32;
}

std::vector<int64_t> SizesOf(const Derivation& value) {
  const absl::Span<const int64_t> sizes = value.spec.shape().sizes();
  return {sizes.begin(), sizes.end()};
}

// Works out the result of one operation.
class SpecInference {
 public:
  SpecInference(const TensorOp& op, const Operands& operands)
      : op_(op), operands_(operands) {}

  absl::StatusOr<TensorSpec> operator()(const SourceOp&) const {
    return Refused(op_, "is a leaf");
  }
  absl::StatusOr<TensorSpec> operator()(const FreshOp&) const {
    return Refused(op_, "is a leaf");
  }

  absl::StatusOr<TensorSpec> operator()(const PermuteOp& op) const {
    RETURN_IF_ERROR(CheckCount(1));
    std::vector<int> sorted = op.dims;
    std::sort(sorted.begin(), sorted.end());
    bool valid = static_cast<int>(sorted.size()) == Rank();
    for (size_t i = 0; valid && i < sorted.size(); ++i) {
      valid = sorted[i] == static_cast<int>(i);
    }
    if (!valid) {
      return Refused(op_, absl::StrCat("[", absl::StrJoin(op.dims, ", "),
                                       "] is no order of the ", Rank(),
                                       " dimensions of ", ShapeText(0)));
    }
    std::vector<int64_t> sizes;
    for (int dim : op.dims) sizes.push_back(Sizes()[dim]);
    return Moved(std::move(sizes));
  }

  absl::StatusOr<TensorSpec> operator()(const ReshapeOp& op) const {
    RETURN_IF_ERROR(CheckCount(1));
    if (op.shape.num_elements() != First().spec.num_elements()) {
      return Refused(op_, absl::StrCat(ShapeText(0), " has another number of ",
                                       "elements than ", op.shape.ToString()));
    }
    return TensorSpec::Create(First().spec.dtype(), op.shape);
  }

  absl::StatusOr<TensorSpec> operator()(const SliceOp& op) const {
    RETURN_IF_ERROR(CheckCount(1));
    RETURN_IF_ERROR(CheckDim(op.dim));
    std::vector<int64_t> sizes = Sizes();
    if (op.start < 0 || op.length < 0 || op.start > sizes[op.dim] ||
        op.length > sizes[op.dim] - op.start) {
      return Refused(op_, absl::StrCat(op.length, " from ", op.start,
                                       " is not within dimension ", op.dim,
                                       " of ", ShapeText(0)));
    }
    sizes[op.dim] = op.length;
    return Moved(std::move(sizes));
  }

  absl::StatusOr<TensorSpec> operator()(const SelectOp& op) const {
    RETURN_IF_ERROR(CheckCount(1));
    RETURN_IF_ERROR(CheckIndices(op.dim, op.indices));
    std::vector<int64_t> sizes = Sizes();
    sizes[op.dim] = static_cast<int64_t>(op.indices.size());
    return Moved(std::move(sizes));
  }

  absl::StatusOr<TensorSpec> operator()(const ExpandOp& op) const {
    RETURN_IF_ERROR(CheckCount(1));
    const std::vector<int64_t> sizes = Sizes();
    bool valid = op.shape.rank() == Rank();
    for (size_t i = 0; valid && i < sizes.size(); ++i) {
      valid = sizes[i] == 1 || sizes[i] == op.shape.sizes()[i];
    }
    if (!valid) {
      return Refused(op_, absl::StrCat(ShapeText(0), " cannot become ",
                                       op.shape.ToString()));
    }
    return TensorSpec::Create(First().spec.dtype(), op.shape);
  }

  absl::StatusOr<TensorSpec> operator()(const ConcatOp& op) const {
    if (operands_.empty()) return Refused(op_, "there is nothing to join");
    RETURN_IF_ERROR(CheckDim(op.dim));
    std::vector<int64_t> sizes = Sizes();
    for (size_t i = 1; i < operands_.size(); ++i) {
      std::vector<int64_t> other = SizesOf(*operands_[i]);
      if (operands_[i]->spec.dtype() != First().spec.dtype()) {
        return Refused(op_, absl::StrCat("the dtypes differ: ", SpecText(0),
                                         " and ", SpecText(i)));
      }
      const bool fits = other.size() == sizes.size();
      const int64_t more = fits ? other[op.dim] : 0;
      if (fits) other[op.dim] = sizes[op.dim];
      if (!fits || other != sizes) {
        return Refused(op_, absl::StrCat("the shapes ", ShapeText(0), " and ",
                                         ShapeText(i), " differ in more than ",
                                         "dimension ", op.dim));
      }
      if (__builtin_add_overflow(sizes[op.dim], more, &sizes[op.dim])) {
        return Refused(op_, "the result is too large");
      }
    }
    return Moved(std::move(sizes));
  }

  absl::StatusOr<TensorSpec> operator()(const OverwriteOp& op) const {
    RETURN_IF_ERROR(CheckCount(2));
    const std::vector<int64_t> base = Sizes();
    const std::vector<int64_t> block = SizesOf(*operands_[1]);
    bool valid = block.size() == base.size() && op.starts.size() == base.size();
    for (size_t i = 0; valid && i < base.size(); ++i) {
      valid = op.starts[i] >= 0 && op.starts[i] <= base[i] &&
              block[i] <= base[i] - op.starts[i];
    }
    if (!valid) {
      return Refused(op_, absl::StrCat("a block of ", ShapeText(1), " at [",
                                       absl::StrJoin(op.starts, ", "),
                                       "] is not within ", ShapeText(0)));
    }
    return First().spec;
  }

  absl::StatusOr<TensorSpec> operator()(const ReplaceOp& op) const {
    RETURN_IF_ERROR(CheckCount(2));
    RETURN_IF_ERROR(CheckIndices(op.dim, op.indices));
    std::vector<int64_t> expected = Sizes();
    expected[op.dim] = static_cast<int64_t>(op.indices.size());
    if (SizesOf(*operands_[1]) != expected) {
      return Refused(op_, absl::StrCat("slices of shape ", ShapeText(1),
                                       " do not fit ", ShapeText(0)));
    }
    absl::flat_hash_set<int64_t> seen;
    for (int64_t index : op.indices) {
      if (!seen.insert(index).second) {
        return Refused(op_, absl::StrCat("slice ", index, " is there twice"));
      }
    }
    return First().spec;
  }

  absl::StatusOr<TensorSpec> operator()(const ScaleOp& op) const {
    RETURN_IF_ERROR(CheckCount(1));
    if (!std::isfinite(op.factor)) return Refused(op_, "is not finite");
    return Computed(Sizes());
  }

  absl::StatusOr<TensorSpec> operator()(const ScaleAlongOp& op) const {
    RETURN_IF_ERROR(CheckCount(1));
    RETURN_IF_ERROR(CheckDim(op.dim));
    const std::vector<int64_t> sizes = Sizes();
    if (static_cast<int64_t>(op.factors.size()) != sizes[op.dim]) {
      return Refused(
          op_, absl::StrCat(op.factors.size(), " factors for ", "dimension ",
                            op.dim, " of ", ShapeText(0)));
    }
    return Computed(sizes);
  }

  absl::StatusOr<TensorSpec> operator()(const SumOp& op) const {
    return Reduced(op.dim);
  }
  absl::StatusOr<TensorSpec> operator()(const MeanOp& op) const {
    return Reduced(op.dim);
  }

  absl::StatusOr<TensorSpec> operator()(const LinearCombinationOp& op) const {
    if (operands_.empty() || operands_.size() != op.weights.size()) {
      return Refused(op_, absl::StrCat(op.weights.size(), " weights for ",
                                       operands_.size(), " tensors"));
    }
    for (double weight : op.weights) {
      if (!std::isfinite(weight)) return Refused(op_, "a weight is not finite");
    }
    RETURN_IF_ERROR(CheckSameShapes());
    return Computed(Sizes());
  }

  absl::StatusOr<TensorSpec> operator()(const SlerpOp& op) const {
    RETURN_IF_ERROR(CheckCount(2));
    RETURN_IF_ERROR(CheckSameShapes());
    if (!std::isfinite(op.t)) return Refused(op_, "t is not finite");
    if (IsComplexType(ArithmeticType(operands_))) {
      return Refused(op_, "is not defined for complex tensors");
    }
    return Computed(Sizes());
  }

  absl::StatusOr<TensorSpec> operator()(const MatMulOp&) const {
    RETURN_IF_ERROR(CheckCount(2));
    const std::vector<int64_t> a = Sizes();
    const std::vector<int64_t> b = SizesOf(*operands_[1]);
    if (a.size() != 2 || b.size() != 2 || a[1] != b[0]) {
      return Refused(op_, absl::StrCat(ShapeText(0), " and ", ShapeText(1),
                                       " cannot be multiplied"));
    }
    return Computed({a[0], b[1]});
  }

  absl::StatusOr<TensorSpec> operator()(const InterpolateOp& op) const {
    RETURN_IF_ERROR(CheckCount(1));
    const bool linear = op.mode == InterpolateOp::Mode::kLinear;
    const size_t spatial = linear ? 1 : 2;
    std::vector<int64_t> sizes = Sizes();
    if (sizes.size() != spatial + 2 || op.sizes.size() != spatial) {
      return Refused(op_, absl::StrCat(ShapeText(0), " is not [N, C] and ",
                                       spatial, " spatial dimensions"));
    }
    if (linear && op.antialias) {
      return Refused(op_, "antialiasing is for two dimensions");
    }
    if (IsComplexType(First().spec.dtype())) {
      return Refused(op_, "is not defined for complex tensors");
    }
    for (size_t i = 0; i < spatial; ++i) {
      if (op.sizes[i] < 1 || sizes[i + 2] < 1) {
        return Refused(op_, "a size is below 1");
      }
      sizes[i + 2] = op.sizes[i];
    }
    return Computed(std::move(sizes));
  }

  absl::StatusOr<TensorSpec> operator()(const ResamplePatchOp& op) const {
    RETURN_IF_ERROR(CheckCount(1));
    std::vector<int64_t> sizes = Sizes();
    if (sizes.size() != 4 || sizes[2] < 1 || sizes[3] < 1 || op.height < 1 ||
        op.width < 1) {
      return Refused(op_, absl::StrCat(ShapeText(0), " is no patch embedding ",
                                       "[out, in, height, width]"));
    }
    if (IsComplexType(First().spec.dtype())) {
      return Refused(op_, "is not defined for complex tensors");
    }
    sizes[2] = op.height;
    sizes[3] = op.width;
    return Computed(std::move(sizes));
  }

  absl::StatusOr<TensorSpec> operator()(const CastOp& op) const {
    RETURN_IF_ERROR(CheckCount(1));
    return TensorSpec::Create(op.dtype, First().spec.shape());
  }

 private:
  const Derivation& First() const { return *operands_[0]; }
  std::vector<int64_t> Sizes() const { return SizesOf(First()); }
  int Rank() const { return First().spec.shape().rank(); }
  std::string ShapeText(size_t i) const {
    return operands_[i]->spec.shape().ToString();
  }
  std::string SpecText(size_t i) const { return operands_[i]->spec.ToString(); }

  absl::Status CheckCount(size_t count) const {
    if (operands_.size() == count) return absl::OkStatus();
    return Refused(
        op_, absl::StrCat("takes ", count, " tensors, not ", operands_.size()));
  }

  absl::Status CheckDim(int dim) const {
    if (dim >= 0 && dim < Rank()) return absl::OkStatus();
    return Refused(
        op_, absl::StrCat("there is no dimension ", dim, " in ", ShapeText(0)));
  }

  absl::Status CheckIndices(int dim,
                            const std::vector<int64_t>& indices) const {
    RETURN_IF_ERROR(CheckDim(dim));
    const int64_t size = Sizes()[dim];
    for (int64_t index : indices) {
      if (index < 0 || index >= size) {
        return Refused(
            op_, absl::StrCat("there is no ", index, " in dimension ", dim,
                              " of ", ShapeText(0)));
      }
    }
    return absl::OkStatus();
  }

  absl::Status CheckSameShapes() const {
    for (size_t i = 1; i < operands_.size(); ++i) {
      if (operands_[i]->spec.shape() == First().spec.shape()) continue;
      return Refused(op_, absl::StrCat("the shapes differ: ", ShapeText(0),
                                       " and ", ShapeText(i)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<TensorSpec> Reduced(int dim) const {
    RETURN_IF_ERROR(CheckCount(1));
    RETURN_IF_ERROR(CheckDim(dim));
    std::vector<int64_t> sizes = Sizes();
    sizes[dim] = 1;
    return Computed(std::move(sizes));
  }

  absl::StatusOr<TensorSpec> Moved(std::vector<int64_t> sizes) const {
    ASSIGN_OR_RETURN(Shape shape, Shape::Create(std::move(sizes)));
    return TensorSpec::Create(First().spec.dtype(), std::move(shape));
  }

  absl::StatusOr<TensorSpec> Computed(std::vector<int64_t> sizes) const {
    ASSIGN_OR_RETURN(Shape shape, Shape::Create(std::move(sizes)));
    return TensorSpec::Create(ArithmeticType(operands_), std::move(shape));
  }

  const TensorOp& op_;
  const Operands& operands_;
};

struct IsArithmeticOp {
  template <typename Op>
  bool operator()(const Op&) const {
    return std::is_same_v<Op, ScaleOp> || std::is_same_v<Op, ScaleAlongOp> ||
           std::is_same_v<Op, SumOp> || std::is_same_v<Op, MeanOp> ||
           std::is_same_v<Op, LinearCombinationOp> ||
           std::is_same_v<Op, SlerpOp> || std::is_same_v<Op, MatMulOp> ||
           std::is_same_v<Op, InterpolateOp> ||
           std::is_same_v<Op, ResamplePatchOp>;
  }
};

// Calls `visit` on each node of the tree once.
template <typename Visit>
void Walk(const Derivation& value, absl::flat_hash_set<const Derivation*>* seen,
          const Visit& visit) {
  if (!seen->insert(&value).second) return;
  visit(value);
  for (const DerivationPtr& operand : value.operands) {
    Walk(*operand, seen, visit);
  }
}

}  // namespace

DerivationPtr SourceTensor(int32_t source, int64_t entry, TensorSpec spec) {
  return std::make_shared<Derivation>(
      Derivation{SourceOp{source, entry}, {}, std::move(spec), 1});
}

DerivationPtr FreshTensor(TensorSpec spec) {
  return std::make_shared<Derivation>(
      Derivation{FreshOp{}, {}, std::move(spec), 1});
}

absl::StatusOr<DerivationPtr> Derive(TensorOp op,
                                     std::vector<DerivationPtr> operands) {
  int depth = 0;
  for (const DerivationPtr& operand : operands) {
    depth = std::max(depth, operand->depth);
  }
  if (depth >= kMaxDerivationDepth) {
    return Refused(op, absl::StrCat("more than ", kMaxDerivationDepth,
                                    " operations follow each other"));
  }
  ASSIGN_OR_RETURN(TensorSpec spec,
                   std::visit(SpecInference(op, operands), op));
  return std::make_shared<Derivation>(Derivation{
      std::move(op), std::move(operands), std::move(spec), depth + 1});
}

const SourceOp* AsSourceTensor(const Derivation& value) {
  return std::get_if<SourceOp>(&value.op);
}

const Derivation& WithoutReshapes(const Derivation& value) {
  const Derivation* inner = &value;
  while (std::holds_alternative<ReshapeOp>(inner->op)) {
    inner = inner->operands[0].get();
  }
  return *inner;
}

bool UsesFreshValues(const Derivation& value) {
  bool fresh = false;
  absl::flat_hash_set<const Derivation*> seen;
  Walk(value, &seen, [&](const Derivation& node) {
    fresh = fresh || std::holds_alternative<FreshOp>(node.op);
  });
  return fresh;
}

bool IsArithmetic(const Derivation& value) {
  bool arithmetic = false;
  absl::flat_hash_set<const Derivation*> seen;
  Walk(value, &seen, [&](const Derivation& node) {
    arithmetic = arithmetic || std::visit(IsArithmeticOp{}, node.op);
  });
  return arithmetic;
}

absl::InlinedVector<SourceOp, 1> SourcesOf(const Derivation& value) {
  absl::InlinedVector<SourceOp, 1> sources;
  if (const SourceOp* source = AsSourceTensor(value)) return {*source};
  absl::flat_hash_set<const Derivation*> seen;
  absl::flat_hash_set<std::pair<int32_t, int64_t>> added;
  Walk(value, &seen, [&](const Derivation& node) {
    const SourceOp* source = AsSourceTensor(node);
    if (source != nullptr &&
        added.emplace(source->source, source->entry).second) {
      sources.push_back(*source);
    }
  });
  return sources;
}

}  // namespace warmstart
