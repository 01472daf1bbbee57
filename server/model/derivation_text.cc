// How derivations are written for people.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/model/derivation.h"
#include "server/model/utf8.h"

namespace warmstart {
namespace {

template <typename T>
std::string List(const std::vector<T>& values) {
  constexpr size_t kShown = 8;
  const size_t shown = std::min(values.size(), kShown);
  std::string text = absl::StrCat(
      "[", absl::StrJoin(values.begin(), values.begin() + shown, ", "));
  if (shown < values.size()) {
    absl::StrAppend(&text, ", ... ", values.size(), " in all");
  }
  return text + "]";
}

absl::string_view ModeName(InterpolateOp::Mode mode) {
  switch (mode) {
    case InterpolateOp::Mode::kLinear:
      return "linear";
    case InterpolateOp::Mode::kBilinear:
      return "bilinear";
    case InterpolateOp::Mode::kBicubic:
      return "bicubic";
  }
  return "";
}

struct Name {
  absl::string_view operator()(const SourceOp&) const { return "source"; }
  absl::string_view operator()(const FreshOp&) const { return "fresh"; }
  absl::string_view operator()(const PermuteOp&) const { return "permute"; }
  absl::string_view operator()(const ReshapeOp&) const { return "reshape"; }
  absl::string_view operator()(const SliceOp&) const { return "slice"; }
  absl::string_view operator()(const SelectOp&) const { return "select"; }
  absl::string_view operator()(const ExpandOp&) const { return "expand"; }
  absl::string_view operator()(const ConcatOp&) const { return "concat"; }
  absl::string_view operator()(const OverwriteOp&) const { return "overwrite"; }
  absl::string_view operator()(const ReplaceOp&) const { return "replace"; }
  absl::string_view operator()(const ScaleOp&) const { return "scale"; }
  absl::string_view operator()(const ScaleAlongOp&) const {
    return "scale_along";
  }
  absl::string_view operator()(const SumOp&) const { return "sum"; }
  absl::string_view operator()(const MeanOp&) const { return "mean"; }
  absl::string_view operator()(const LinearCombinationOp&) const {
    return "combine";
  }
  absl::string_view operator()(const SlerpOp&) const { return "slerp"; }
  absl::string_view operator()(const MatMulOp&) const { return "matmul"; }
  absl::string_view operator()(const InterpolateOp&) const {
    return "interpolate";
  }
  absl::string_view operator()(const ResamplePatchOp&) const {
    return "resample_patch";
  }
  absl::string_view operator()(const CastOp&) const { return "cast"; }
};

struct ArgumentsText {
  std::string operator()(const SourceOp&) const { return ""; }
  std::string operator()(const FreshOp&) const { return ""; }
  std::string operator()(const PermuteOp& op) const { return List(op.dims); }
  std::string operator()(const ReshapeOp& op) const {
    return op.shape.ToString();
  }
  std::string operator()(const SliceOp& op) const {
    return absl::StrCat("dim=", op.dim, ", start=", op.start,
                        ", length=", op.length);
  }
  std::string operator()(const SelectOp& op) const {
    return absl::StrCat("dim=", op.dim, ", ", List(op.indices));
  }
  std::string operator()(const ExpandOp& op) const {
    return op.shape.ToString();
  }
  std::string operator()(const ConcatOp& op) const {
    return absl::StrCat("dim=", op.dim);
  }
  std::string operator()(const OverwriteOp& op) const {
    return absl::StrCat("at=", List(op.starts));
  }
  std::string operator()(const ReplaceOp& op) const {
    return absl::StrCat("dim=", op.dim, ", ", List(op.indices));
  }
  std::string operator()(const ScaleOp& op) const {
    return absl::StrCat(op.factor);
  }
  std::string operator()(const ScaleAlongOp& op) const {
    return absl::StrCat("dim=", op.dim, ", ", List(op.factors));
  }
  std::string operator()(const SumOp& op) const {
    return absl::StrCat("dim=", op.dim);
  }
  std::string operator()(const MeanOp& op) const {
    return absl::StrCat("dim=", op.dim);
  }
  std::string operator()(const LinearCombinationOp& op) const {
    return List(op.weights);
  }
  std::string operator()(const SlerpOp& op) const {
    return absl::StrCat("t=", op.t);
  }
  std::string operator()(const MatMulOp&) const { return ""; }
  std::string operator()(const InterpolateOp& op) const {
    return absl::StrCat(List(op.sizes), ", mode=", ModeName(op.mode),
                        op.align_corners ? ", align_corners" : "",
                        op.antialias ? ", antialias" : "");
  }
  std::string operator()(const ResamplePatchOp& op) const {
    return absl::StrCat("[", op.height, ", ", op.width, "]");
  }
  std::string operator()(const CastOp& op) const {
    return std::string(DTypeName(op.dtype));
  }
};

// Writes a tree, which may share nodes and so be far larger than its memory, up
// to the limit.
void Write(const Derivation& value,
           absl::FunctionRef<std::string(const SourceOp&)> name_of,
           std::string* text) {
  if (text->size() > kMaxDerivationText) return;
  if (const SourceOp* source = AsSourceTensor(value)) {
    absl::StrAppend(text, name_of(*source));
    return;
  }
  absl::StrAppend(text, OpName(value.op));
  if (value.operands.empty()) return;
  absl::StrAppend(text, "(");
  for (size_t i = 0; i < value.operands.size(); ++i) {
    if (text->size() > kMaxDerivationText) return;
    if (i > 0) absl::StrAppend(text, ", ");
    Write(*value.operands[i], name_of, text);
  }
  const std::string arguments = OpArguments(value.op);
  if (!arguments.empty()) absl::StrAppend(text, ", ", arguments);
  absl::StrAppend(text, ")");
}

}  // namespace

std::string DerivationToString(
    const Derivation& value,
    absl::FunctionRef<std::string(const SourceOp&)> name_of) {
  std::string text;
  Write(value, name_of, &text);
  if (text.size() > kMaxDerivationText) {
    text.resize(Utf8Prefix(text, kMaxDerivationText).size());
    text += "...";
  }
  return text;
}

absl::string_view OpName(const TensorOp& op) { return std::visit(Name{}, op); }

std::string OpArguments(const TensorOp& op) {
  return std::visit(ArgumentsText{}, op);
}

}  // namespace warmstart
