#include "server/model/initializer.h"

#include <cmath>
#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"

namespace warmstart {
namespace {

bool AreFinite(std::initializer_list<double> numbers) {
  for (double number : numbers) {
    if (!std::isfinite(number)) return false;
  }
  return true;
}

// torch.nn.init: fan in and fan out can not be computed for tensors with fewer
// than two dimensions.
std::string FanProblem(const Shape& shape) {
  return shape.rank() < 2 ? "needs at least two dimensions" : "";
}

// What is wrong, in words that follow the initializer's name; "" where nothing
// is.
struct FindProblem {
  const Shape& shape;

  std::string operator()(const ConstantInit&) const { return ""; }
  std::string operator()(const NormalInit& init) const {
    if (!AreFinite({init.mean, init.std})) return "needs a finite mean and std";
    if (init.std < 0) return "needs a std of at least 0";
    if (!init.zero_row.has_value()) return "";
    const bool is_there = shape.rank() > 0 && *init.zero_row >= 0 &&
                          *init.zero_row < shape.sizes()[0];
    return is_there ? ""
                    : absl::StrCat("has no row ", *init.zero_row,
                                   " to make zero in a tensor of shape ",
                                   shape.ToString());
  }
  std::string operator()(const UniformInit& init) const {
    if (!AreFinite({init.low, init.high})) return "needs a finite low and high";
    return init.low > init.high ? "needs low <= high" : "";
  }
  std::string operator()(const KaimingUniformInit& init) const {
    return AreFinite({init.a}) ? FanProblem(shape) : "needs a finite a";
  }
  std::string operator()(const KaimingNormalInit& init) const {
    return AreFinite({init.a}) ? FanProblem(shape) : "needs a finite a";
  }
  std::string operator()(const XavierUniformInit& init) const {
    return AreFinite({init.gain}) ? FanProblem(shape) : "needs a finite gain";
  }
  std::string operator()(const XavierNormalInit& init) const {
    if (!AreFinite({init.gain})) return "needs a finite gain";
    return init.gain < 0 ? "needs a gain of at least 0" : FanProblem(shape);
  }
  std::string operator()(const TruncNormalInit& init) const {
    if (!AreFinite({init.mean, init.std, init.a, init.b})) {
      return "needs a finite mean, std, a and b";
    }
    if (init.std <= 0) return "needs a std above 0";
    return init.a > init.b ? "needs a <= b" : "";
  }
  std::string operator()(const OrthogonalInit& init) const {
    if (!AreFinite({init.gain})) return "needs a finite gain";
    return shape.rank() < 2 ? "needs at least two dimensions" : "";
  }
  std::string operator()(const SparseInit& init) const {
    if (shape.rank() != 2) return "needs two dimensions";
    if (!(init.sparsity >= 0 && init.sparsity <= 1)) {
      return "needs a sparsity from 0 to 1";
    }
    return AreFinite({init.std}) && init.std >= 0
               ? ""
               : "needs a finite std of at least 0";
  }
  std::string operator()(const EyeInit&) const {
    return shape.rank() == 2 ? "" : "needs two dimensions";
  }
  std::string operator()(const DiracInit& init) const {
    if (shape.rank() < 3 || shape.rank() > 5) {
      return "needs three to five dimensions";
    }
    return init.groups > 0 && shape.sizes()[0] % init.groups == 0
               ? ""
               : "needs a number of groups that divides the first dimension";
  }
  std::string operator()(const FanInUniformInit& init) const {
    return init.fan_in < 0 ? "needs fan_in >= 0" : "";
  }
  std::string operator()(const StoredInit&) const { return ""; }
};

struct Name {
  absl::string_view operator()(const ConstantInit& init) const {
    if (init.value == 0) return "zeros";
    return init.value == 1 ? "ones" : "constant";
  }
  absl::string_view operator()(const NormalInit&) const { return "normal"; }
  absl::string_view operator()(const UniformInit&) const { return "uniform"; }
  absl::string_view operator()(const KaimingUniformInit&) const {
    return "kaiming_uniform";
  }
  absl::string_view operator()(const KaimingNormalInit&) const {
    return "kaiming_normal";
  }
  absl::string_view operator()(const XavierUniformInit&) const {
    return "xavier_uniform";
  }
  absl::string_view operator()(const XavierNormalInit&) const {
    return "xavier_normal";
  }
  absl::string_view operator()(const TruncNormalInit&) const {
    return "trunc_normal";
  }
  absl::string_view operator()(const OrthogonalInit&) const {
    return "orthogonal";
  }
  absl::string_view operator()(const SparseInit&) const { return "sparse"; }
  absl::string_view operator()(const EyeInit&) const { return "eye"; }
  absl::string_view operator()(const DiracInit&) const { return "dirac"; }
  absl::string_view operator()(const FanInUniformInit&) const {
    return "fan_in_uniform";
  }
  absl::string_view operator()(const StoredInit&) const { return "stored"; }
};

}  // namespace

absl::Status ValidateInitializer(const Initializer& initializer,
                                 const TensorSpec& spec) {
  const std::string problem =
      std::visit(FindProblem{spec.shape()}, initializer);
  const absl::string_view name = InitializerName(initializer);
  if (!problem.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(name, " ", problem));
  }
  if (IsRandom(initializer) && !IsFloatingPoint(spec.dtype())) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " makes fractions, which ", DTypeName(spec.dtype()),
                     " cannot hold; use zeros, ones or constant"));
  }
  return absl::OkStatus();
}

absl::string_view InitializerName(const Initializer& initializer) {
  return std::visit(Name{}, initializer);
}

bool IsRandom(const Initializer& initializer) {
  return !std::holds_alternative<ConstantInit>(initializer) &&
         !std::holds_alternative<EyeInit>(initializer) &&
         !std::holds_alternative<DiracInit>(initializer) &&
         !std::holds_alternative<StoredInit>(initializer);
}

}  // namespace warmstart
