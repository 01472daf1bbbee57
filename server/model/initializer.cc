#include "server/model/initializer.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "server/base/status_macros.h"

namespace warmstart {
namespace {

bool AreFinite(std::initializer_list<double> numbers) {
  for (double number : numbers) {
    if (!std::isfinite(number)) return false;
  }
  return true;
}

bool HasZero(absl::Span<const int64_t> sizes) {
  return std::find(sizes.begin(), sizes.end(), 0) != sizes.end();
}

// What is wrong, in words that follow the initializer's name; "" where nothing
// is. First, with its numbers:
struct FindBadNumber {
  std::string operator()(const ConstantInit&) const { return ""; }
  std::string operator()(const NormalInit& init) const {
    if (!AreFinite({init.mean, init.std})) return "needs a finite mean and std";
    if (init.std < 0) return "needs a std of at least 0";
    return init.zero_row.value_or(0) < 0 ? "needs a zero_row of at least 0"
                                         : "";
  }
  std::string operator()(const UniformInit& init) const {
    if (!AreFinite({init.low, init.high})) return "needs a finite low and high";
    return init.low > init.high ? "needs low <= high" : "";
  }
  std::string operator()(const KaimingUniformInit& init) const {
    return Slope(init.a);
  }
  std::string operator()(const KaimingNormalInit& init) const {
    return Slope(init.a);
  }
  std::string operator()(const XavierUniformInit& init) const {
    return Gain(init.gain);
  }
  std::string operator()(const XavierNormalInit& init) const {
    return Gain(init.gain);
  }
  std::string operator()(const TruncNormalInit& init) const {
    if (!AreFinite({init.mean, init.std, init.a, init.b})) {
      return "needs a finite mean, std, a and b";
    }
    if (init.std <= 0) return "needs a std above 0";
    return init.a > init.b ? "needs a <= b" : "";
  }
  std::string operator()(const OrthogonalInit& init) const {
    return AreFinite({init.gain}) ? "" : "needs a finite gain";
  }
  std::string operator()(const SparseInit& init) const {
    if (!(init.sparsity >= 0 && init.sparsity <= 1)) {
      return "needs a sparsity from 0 to 1";
    }
    return AreFinite({init.std}) && init.std >= 0
               ? ""
               : "needs a finite std of at least 0";
  }
  std::string operator()(const EyeInit&) const { return ""; }
  std::string operator()(const DiracInit& init) const {
    return init.groups > 0 ? "" : "needs at least one group";
  }
  std::string operator()(const FanInUniformInit& init) const {
    return init.fan_in < 0 ? "needs fan_in >= 0" : "";
  }
  std::string operator()(const StoredInit&) const { return ""; }

 private:
  // Python raises OverflowError where its square is too large.
  static std::string Slope(double a) {
    return AreFinite({a * a}) ? "" : "needs an a whose square is finite";
  }
  static std::string Gain(double gain) {
    return AreFinite({gain}) && gain >= 0 ? ""
                                          : "needs a finite gain of at least 0";
  }
};

// Then, with the shape:
struct FindBadShape {
  const Shape& shape;

  std::string operator()(const NormalInit& init) const {
    if (!init.zero_row.has_value()) return "";
    const bool is_there = shape.rank() > 0 && *init.zero_row < shape.sizes()[0];
    return is_there ? ""
                    : absl::StrCat("has no row ", *init.zero_row,
                                   " to make zero in a tensor of shape ",
                                   shape.ToString());
  }
  // torch.nn.init returns before it looks for a fan.
  std::string operator()(const KaimingUniformInit&) const {
    return shape.num_elements() == 0 ? "" : AtLeastTwo();
  }
  std::string operator()(const KaimingNormalInit&) const {
    return shape.num_elements() == 0 ? "" : AtLeastTwo();
  }
  std::string operator()(const XavierUniformInit&) const { return AnyFan(); }
  std::string operator()(const XavierNormalInit&) const { return AnyFan(); }
  std::string operator()(const OrthogonalInit&) const { return AtLeastTwo(); }
  std::string operator()(const SparseInit&) const { return Two(); }
  std::string operator()(const EyeInit&) const { return Two(); }
  std::string operator()(const DiracInit& init) const {
    if (shape.rank() < 3 || shape.rank() > 5) {
      return "needs three to five dimensions";
    }
    const absl::Span<const int64_t> sizes = shape.sizes();
    if (sizes[0] % init.groups != 0) {
      return "needs a number of groups that divides the first dimension";
    }
    const bool has_channels = sizes[0] > 0 && sizes[1] > 0;
    return has_channels && HasZero(sizes.subspan(2))
               ? "needs a kernel that has a centre"
               : "";
  }
  // The others make a tensor of any shape.
  template <typename Init>
  std::string operator()(const Init&) const {
    return "";
  }

 private:
  std::string Two() const {
    return shape.rank() == 2 ? "" : "needs two dimensions";
  }
  std::string AtLeastTwo() const {
    return shape.rank() >= 2 ? "" : "needs at least two dimensions";
  }
  // torch.nn.init divides by the sum of both fans.
  std::string AnyFan() const {
    if (shape.rank() < 2) return AtLeastTwo();
    const absl::Span<const int64_t> sizes = shape.sizes();
    const bool has_fan =
        (sizes[0] > 0 || sizes[1] > 0) && !HasZero(sizes.subspan(2));
    return has_fan ? "" : "needs a fan above 0";
  }
};

bool IsComplex(DType dtype) { return DTypeWordSize(dtype) != DTypeSize(dtype); }

// Whether torch.nn.init's function makes values of such a type, or of the
// float32 that stands for float8.
bool MakesDType(const Initializer& initializer, DType dtype) {
  if (std::holds_alternative<TruncNormalInit>(initializer)) {
    return !IsComplex(dtype);
  }
  if (std::holds_alternative<OrthogonalInit>(initializer)) {
    return dtype == DType::kFloat32 || dtype == DType::kFloat64;
  }
  if (std::holds_alternative<EyeInit>(initializer)) {
    return dtype != DType::kComplex32 && dtype != DType::kUint16 &&
           dtype != DType::kUint32 && dtype != DType::kUint64;
  }
  return true;
}

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

absl::Status Problem(const Initializer& initializer,
                     absl::string_view problem) {
  if (problem.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(InitializerName(initializer), " ", problem));
}

}  // namespace

absl::Status ValidateInitializer(const Initializer& initializer) {
  return Problem(initializer, std::visit(FindBadNumber{}, initializer));
}

absl::Status ValidateInitializer(const Initializer& initializer,
                                 const TensorSpec& spec) {
  RETURN_IF_ERROR(ValidateInitializer(initializer));
  RETURN_IF_ERROR(Problem(initializer,
                          std::visit(FindBadShape{spec.shape()}, initializer)));
  const absl::string_view dtype = DTypeName(spec.dtype());
  if (IsRandom(initializer) && !IsFloatingPoint(spec.dtype())) {
    return Problem(initializer,
                   absl::StrCat("makes fractions, which ", dtype,
                                " cannot hold; use zeros, ones or constant"));
  }
  return MakesDType(initializer, spec.dtype())
             ? absl::OkStatus()
             : Problem(initializer, absl::StrCat("does not make ", dtype,
                                                 ", as in torch.nn.init"));
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
