#include "server/planner/rules/convert_steps.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/planner/rules/rule_scope.h"
#include "server/planner/rules/tensor_ops.h"

namespace warmstart::planner {
namespace {

constexpr size_t kMaxSteps = 64;
constexpr size_t kMaxSizes = 4096;

template <typename Kind>
bool AnyIs(absl::Span<const ConvertStep> steps) {
  return std::any_of(steps.begin(), steps.end(), [](const ConvertStep& step) {
    return std::holds_alternative<Kind>(step);
  });
}

absl::Status Refused(absl::string_view problem) {
  return absl::InvalidArgumentError(problem);
}

absl::Status CheckParts(int64_t groups, const std::vector<int64_t>& sizes) {
  if (groups < 1) return Refused("groups must be at least 1");
  if (sizes.size() > kMaxSizes) return Refused("has too many sizes");
  for (const int64_t size : sizes) {
    if (size < 0)
      return Refused(absl::StrCat("the size ", size, " is below 0"));
  }
  return absl::OkStatus();
}

// Where a dimension of a tensor ends up.
struct DimAfter {
  int dim;
  int rank;

  // False where a step makes it untraceable.
  bool Follow(const ConvertStep& step) {
    return std::visit([this](const auto& kind) { return Pass(kind); }, step);
  }

 private:
  bool Pass(const TransposeStep& step) {
    const auto dim0 = DimFromStart(step.dim0, rank);
    const auto dim1 = DimFromStart(step.dim1, rank);
    if (!dim0.ok() || !dim1.ok()) return false;
    if (dim == *dim0) {
      dim = *dim1;
    } else if (dim == *dim1) {
      dim = *dim0;
    }
    return true;
  }
  bool Pass(const PermuteStep& step) {
    for (size_t i = 0; i < step.dims.size(); ++i) {
      const auto from = DimFromStart(step.dims[i], rank);
      if (!from.ok() || *from != dim) continue;
      dim = static_cast<int>(i);
      return true;
    }
    return false;
  }
  bool Pass(const SqueezeStep& step) { return Remove(step.dim); }
  bool Pass(const UnstackStep& step) { return Remove(step.dim); }
  bool Pass(const UnsqueezeStep& step) { return Insert(step.dim); }
  bool Pass(const StackStep& step) { return Insert(step.dim); }
  bool Pass(const DeinterleaveStep&) { return true; }
  bool Pass(const RopeStep&) { return true; }
  bool Pass(const ScaleStep&) { return true; }
  bool Pass(const CastStep&) { return true; }
  bool Pass(const ReshapeStep&) { return false; }
  bool Pass(const ConcatStep&) { return false; }
  bool Pass(const SplitStep&) { return false; }

  bool Remove(int removed) {
    const auto from_start = DimFromStart(removed, rank);
    if (!from_start.ok() || *from_start == dim) return false;
    if (*from_start < dim) --dim;
    --rank;
    return true;
  }
  bool Insert(int inserted) {
    const auto from_start = DimFromStart(inserted, rank + 1);
    if (!from_start.ok()) return false;
    if (*from_start <= dim) ++dim;
    ++rank;
    return true;
  }
};

absl::StatusOr<std::vector<int64_t>> ReshapedSizes(const ReshapeStep& step,
                                                   const Shape& shape) {
  const auto fits = [](int64_t size, int64_t expected) {
    return expected == -1 || size == expected;
  };
  const absl::Span<const int64_t> before = shape.sizes();
  if (!step.from.empty() &&
      !std::equal(before.begin(), before.end(), step.from.begin(),
                  step.from.end(), fits)) {
    return Refused(
        absl::StrCat(shape.ToString(), " is not the shape that it is from"));
  }
  std::vector<int64_t> sizes = step.sizes;
  std::optional<size_t> rest;
  int64_t product = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0 && i >= before.size()) {
      return Refused(absl::StrCat("there is no dimension ", i, " in ",
                                  shape.ToString(), " to keep"));
    }
    if (sizes[i] == 0) sizes[i] = before[i];
    if (sizes[i] == -1) {
      rest = i;
    } else if (__builtin_mul_overflow(product, sizes[i], &product)) {
      return Refused("the result is too large");
    }
  }
  if (!rest.has_value()) return sizes;
  if (product == 0 || shape.num_elements() % product != 0) {
    return Refused(absl::StrCat("what is left of ", shape.ToString(),
                                " is no whole size"));
  }
  sizes[*rest] = shape.num_elements() / product;
  return sizes;
}

}  // namespace

// Follows the lists through the steps, without tensors.
class ConvertSteps::Check {
 public:
  Check(const ConvertRule& rule, OwnHoles own_holes)
      : rule_(rule),
        own_(own_holes),
        lists_(rule.from.size()),
        axis_(own_holes.from ? Axis::kFrom : Axis::kNone) {}

  absl::StatusOr<Step> Next(size_t position) {
    Step step{&rule_.steps[position], axis_};
    rest_ = absl::MakeConstSpan(rule_.steps).subspan(position + 1);
    RETURN_IF_ERROR(std::visit(
        [&](const auto& kind) { return Pass(kind, &step); }, *step.step));
    return step;
  }

  absl::Status End() const {
    if (axis_ == Axis::kFrom) {
      return Refused(
          "no step joins the tensors of the hole of `from` that `to`"
          " does not have");
    }
    if (own_.to && axis_ != Axis::kTo) {
      return Refused(
          "no step makes the tensors for the hole of `to` that "
          "`from` does not have");
    }
    if (lists_ != rule_.to.size()) {
      return Refused(absl::StrCat("they make ", lists_, " of what `to` has ",
                                  rule_.to.size()));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Pass(const ConcatStep& concat, Step* step) {
    RETURN_IF_ERROR(CheckParts(concat.groups, concat.sizes));
    step->by_lists =
        axis_ == Axis::kTo || (axis_ == Axis::kFrom && AnyIs<StackStep>(rest_));
    if (!step->by_lists) axis_ = Axis::kNone;
    lists_ = 1;
    return absl::OkStatus();
  }
  absl::Status Pass(const SplitStep& split, Step* step) {
    RETURN_IF_ERROR(CheckParts(split.groups, split.sizes));
    if (lists_ != 1) return Refused("there is more than one tensor to split");
    lists_ = rule_.to.size();
    step->by_lists =
        own_.to && axis_ == Axis::kNone && !AnyIs<UnstackStep>(rest_);
    if (step->by_lists) axis_ = Axis::kTo;
    return absl::OkStatus();
  }
  absl::Status Pass(const StackStep&, Step*) {
    if (axis_ != Axis::kFrom) {
      return Refused(
          "there is nothing to stack: `from` has no hole that `to` "
          "lacks");
    }
    axis_ = Axis::kNone;
    return absl::OkStatus();
  }
  absl::Status Pass(const UnstackStep&, Step*) {
    if (axis_ != Axis::kNone || !own_.to) {
      return Refused(
          "there is nowhere to unstack to: `to` has no hole that "
          "`from` lacks");
    }
    axis_ = Axis::kTo;
    return absl::OkStatus();
  }
  absl::Status Pass(const PermuteStep& permute, Step*) {
    return permute.dims.size() <= Shape::kMaxRank
               ? absl::OkStatus()
               : Refused("has too many dimensions");
  }
  absl::Status Pass(const ReshapeStep& reshape, Step*) {
    for (const auto* sizes : {&reshape.sizes, &reshape.from}) {
      if (sizes->size() > Shape::kMaxRank) {
        return Refused("has too many dimensions");
      }
      if (std::any_of(sizes->begin(), sizes->end(),
                      [](int64_t size) { return size < -1; }) ||
          std::count(sizes->begin(), sizes->end(), -1) > 1) {
        return Refused("sizes are 0 or more, and one may be -1");
      }
    }
    return absl::OkStatus();
  }
  absl::Status Pass(const RopeStep& rope, Step*) {
    return rope.heads >= 1 ? absl::OkStatus()
                           : Refused("heads must be at least 1");
  }
  absl::Status Pass(const ScaleStep& scale, Step*) {
    return std::isfinite(scale.factor) ? absl::OkStatus()
                                       : Refused("the factor is not finite");
  }
  absl::Status Pass(const TransposeStep&, Step*) { return {}; }
  absl::Status Pass(const SqueezeStep&, Step*) { return {}; }
  absl::Status Pass(const UnsqueezeStep&, Step*) { return {}; }
  absl::Status Pass(const DeinterleaveStep&, Step*) { return {}; }
  absl::Status Pass(const CastStep&, Step*) { return {}; }

  const ConvertRule& rule_;
  const OwnHoles own_;
  absl::Span<const ConvertStep> rest_;  // behind the step
  size_t lists_;
  Axis axis_;
};

// Takes the steps on one conversion's tensors.
class ConvertSteps::Runner {
 public:
  Runner(const ConvertSteps& steps, TargetShape target_shape, TensorLists lists)
      : all_(steps), target_shape_(target_shape), lists_(std::move(lists)) {}

  absl::Status Take(size_t position) {
    position_ = position;
    return std::visit([this](const auto& kind) { return Do(kind); },
                      *all_.steps_[position].step);
  }

  TensorLists Result() && { return std::move(lists_); }

 private:
  using Result1 = absl::StatusOr<DerivationPtr>;

  const Step& Current() const { return all_.steps_[position_]; }

  absl::Status Do(const ConcatStep& step) {
    if (!Current().by_lists) {
      std::vector<DerivationPtr> tensors;
      for (const auto& list : lists_) {
        tensors.insert(tensors.end(), list.begin(), list.end());
      }
      ASSIGN_OR_RETURN(DerivationPtr joined, Join(step, tensors));
      lists_ = {{std::move(joined)}};
      return absl::OkStatus();
    }
    std::vector<DerivationPtr> list;
    for (size_t i = 0; i < lists_[0].size(); ++i) {
      std::vector<DerivationPtr> tensors;
      for (const auto& other : lists_) {
        if (i >= other.size()) return Refused("the lists differ in length");
        tensors.push_back(other[i]);
      }
      ASSIGN_OR_RETURN(DerivationPtr joined, Join(step, tensors));
      list.push_back(std::move(joined));
    }
    lists_ = {std::move(list)};
    return absl::OkStatus();
  }

  static Result1 Join(const ConcatStep& step,
                      absl::Span<const DerivationPtr> tensors) {
    if (!step.sizes.empty()) RETURN_IF_ERROR(CheckSizes(step, tensors));
    return Concat(tensors, step.dim, step.groups);
  }

  static absl::Status CheckSizes(const ConcatStep& step,
                                 absl::Span<const DerivationPtr> tensors) {
    if (step.sizes.size() != tensors.size()) {
      return Refused(absl::StrCat(step.sizes.size(), " sizes for ",
                                  tensors.size(), " tensors"));
    }
    for (size_t i = 0; i < tensors.size(); ++i) {
      const Shape& shape = tensors[i]->spec.shape();
      ASSIGN_OR_RETURN(const int dim, DimFromStart(step.dim, shape.rank()));
      if (shape.sizes()[dim] == step.sizes[i]) continue;
      return Refused(absl::StrCat("dimension ", dim, " of ", shape.ToString(),
                                  " is not ", step.sizes[i]));
    }
    return absl::OkStatus();
  }

  absl::Status Do(const SplitStep& step) {
    const std::vector<DerivationPtr> list = std::move(lists_[0]);
    lists_.assign(all_.to_count_, {});
    ASSIGN_OR_RETURN(const size_t length, ListLength(step));
    for (size_t i = 0; i < list.size(); ++i) {
      ASSIGN_OR_RETURN(const int dim,
                       DimFromStart(step.dim, list[i]->spec.shape().rank()));
      ASSIGN_OR_RETURN(const std::vector<int64_t> sizes,
                       PartSizes(step, *list[i], dim, length, i));
      ASSIGN_OR_RETURN(std::vector<DerivationPtr> parts,
                       Split(list[i], dim, step.groups, sizes));
      for (size_t p = 0; p < parts.size(); ++p) {
        lists_[p / length].push_back(std::move(parts[p]));
      }
    }
    return absl::OkStatus();
  }

  // How many parts of a split are for each template.
  absl::StatusOr<size_t> ListLength(const SplitStep& step) const {
    if (!Current().by_lists) return 1;
    if (!step.sizes.empty()) {
      return std::max<size_t>(1, step.sizes.size() / all_.to_count_);
    }
    int64_t length = 0;
    while (length < kMaxParts && target_shape_(0, length) != nullptr) ++length;
    if (length == 0) {
      return Refused(
          "into how many parts? It has no sizes, and the target "
          "has none of the keys");
    }
    return static_cast<size_t>(length);
  }

  absl::StatusOr<std::vector<int64_t>> PartSizes(const SplitStep& step,
                                                 const Derivation& value,
                                                 int dim, size_t length,
                                                 size_t index) const {
    const size_t count = all_.to_count_ * length;
    if (!step.sizes.empty()) {
      if (step.sizes.size() == count) return step.sizes;
      return Refused(
          absl::StrCat(step.sizes.size(), " sizes for ", count, " parts"));
    }
    // What the target says, and equal parts of the rest.
    std::vector<int64_t> sizes(count, -1);
    int64_t rest = value.spec.shape().sizes()[dim];
    int64_t unknown = 0;
    for (size_t p = 0; p < count; ++p) {
      const int64_t own = Current().by_lists ? static_cast<int64_t>(p % length)
                          : Current().axis == Axis::kTo
                              ? static_cast<int64_t>(index)
                              : 0;
      const std::optional<int64_t> size = TargetSize(
          target_shape_(p / length, own), dim, value.spec.shape().rank());
      if (!size.has_value()) {
        ++unknown;
      } else {
        sizes[p] = *size;
        rest = *size > rest ? -1 : rest - *size;
      }
      if (rest < 0) break;
    }
    if (rest < 0 || (unknown == 0 && rest > 0) ||
        (unknown > 0 && rest % unknown != 0)) {
      return Refused(
          absl::StrCat("the target's sizes do not make up dimension ", dim,
                       " of ", value.spec.shape().ToString()));
    }
    for (int64_t& size : sizes) {
      if (size < 0) size = rest / unknown;
    }
    return sizes;
  }

  // The size that the target has where dimension `dim` ends up.
  std::optional<int64_t> TargetSize(const Shape* target, int dim,
                                    int rank) const {
    if (target == nullptr) return std::nullopt;
    DimAfter after{dim, rank};
    for (size_t i = position_ + 1; i < all_.steps_.size(); ++i) {
      if (!after.Follow(*all_.steps_[i].step)) return std::nullopt;
    }
    if (target->rank() != after.rank) return std::nullopt;
    return target->sizes()[after.dim];
  }

  absl::Status Do(const StackStep& step) {
    for (auto& list : lists_) {
      ASSIGN_OR_RETURN(DerivationPtr stacked, Stack(list, step.dim));
      list = {std::move(stacked)};
    }
    return absl::OkStatus();
  }
  absl::Status Do(const UnstackStep& step) {
    for (auto& list : lists_) {
      ASSIGN_OR_RETURN(list, Unstack(list[0], step.dim));
    }
    return absl::OkStatus();
  }

  template <typename Kind>
  absl::Status Do(const Kind& step) {
    for (auto& list : lists_) {
      for (DerivationPtr& tensor : list) {
        ASSIGN_OR_RETURN(tensor, Change(step, tensor));
      }
    }
    return absl::OkStatus();
  }

  static Result1 Change(const TransposeStep& step, const DerivationPtr& value) {
    return Transpose(value, step.dim0, step.dim1);
  }
  static Result1 Change(const PermuteStep& step, const DerivationPtr& value) {
    return Permute(value, step.dims);
  }
  static Result1 Change(const ReshapeStep& step, const DerivationPtr& value) {
    ASSIGN_OR_RETURN(std::vector<int64_t> sizes,
                     ReshapedSizes(step, value->spec.shape()));
    return Reshape(value, std::move(sizes));
  }
  static Result1 Change(const SqueezeStep& step, const DerivationPtr& value) {
    return Squeeze(value, step.dim);
  }
  static Result1 Change(const UnsqueezeStep& step, const DerivationPtr& value) {
    return Unsqueeze(value, step.dim);
  }
  static Result1 Change(const DeinterleaveStep& step,
                        const DerivationPtr& value) {
    return Deinterleave(value, step.dim, 1, step.inverse);
  }
  static Result1 Change(const RopeStep& step, const DerivationPtr& value) {
    return Deinterleave(value, 0, step.heads, step.inverse);
  }
  static Result1 Change(const ScaleStep& step, const DerivationPtr& value) {
    return Derive(ScaleOp{step.factor}, {value});
  }
  static Result1 Change(const CastStep& step, const DerivationPtr& value) {
    if (value->spec.dtype() == step.dtype) return value;
    return Derive(CastOp{step.dtype}, {value});
  }

  const ConvertSteps& all_;
  const TargetShape target_shape_;
  size_t position_ = 0;
  TensorLists lists_;
};

absl::StatusOr<ConvertSteps> ConvertSteps::Create(int index,
                                                  const ConvertRule& rule,
                                                  OwnHoles own_holes) {
  if (rule.steps.size() > kMaxSteps) {
    return InvalidRule(index, "convert.steps",
                       absl::StrCat("are more than ", kMaxSteps));
  }
  ConvertSteps steps;
  steps.to_count_ = rule.to.size();
  Check check(rule, own_holes);
  for (size_t i = 0; i < rule.steps.size(); ++i) {
    absl::StatusOr<Step> step = check.Next(i);
    if (!step.ok()) {
      return InvalidRule(index, absl::StrCat("convert.steps[", i, "]"),
                         step.status().message());
    }
    steps.steps_.push_back(*step);
  }
  const absl::Status end = check.End();
  if (!end.ok()) return InvalidRule(index, "convert.steps", end.message());
  return steps;
}

absl::StatusOr<TensorLists> ConvertSteps::Run(TensorLists lists,
                                              TargetShape target_shape) const {
  Runner runner(*this, target_shape, std::move(lists));
  for (size_t i = 0; i < steps_.size(); ++i) {
    const absl::Status status = runner.Take(i);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("step ", i, ": ", status.message()));
    }
  }
  return std::move(runner).Result();
}

}  // namespace warmstart::planner
