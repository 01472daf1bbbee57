#include "server/model/dtype.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace warmstart {
namespace {

struct Info {
  DType dtype;
  absl::string_view name;
  int size;
  int word_size;
};

constexpr Info kInfos[] = {
    {DType::kBool, "bool", 1, 1},
    {DType::kUint8, "uint8", 1, 1},
    {DType::kInt8, "int8", 1, 1},
    {DType::kInt16, "int16", 2, 2},
    {DType::kInt32, "int32", 4, 4},
    {DType::kInt64, "int64", 8, 8},
    {DType::kUint16, "uint16", 2, 2},
    {DType::kUint32, "uint32", 4, 4},
    {DType::kUint64, "uint64", 8, 8},
    {DType::kFloat16, "float16", 2, 2},
    {DType::kBFloat16, "bfloat16", 2, 2},
    {DType::kFloat32, "float32", 4, 4},
    {DType::kFloat64, "float64", 8, 8},
    {DType::kComplex32, "complex32", 4, 2},
    {DType::kComplex64, "complex64", 8, 4},
    {DType::kComplex128, "complex128", 16, 8},
    {DType::kFloat8E4M3FN, "float8_e4m3fn", 1, 1},
    {DType::kFloat8E5M2, "float8_e5m2", 1, 1},
    {DType::kFloat8E4M3FNUZ, "float8_e4m3fnuz", 1, 1},
    {DType::kFloat8E5M2FNUZ, "float8_e5m2fnuz", 1, 1},
    {DType::kFloat8E8M0FNU, "float8_e8m0fnu", 1, 1},
};

// The table is in the order of the numbers, which start at 1.
const Info& InfoOf(DType dtype) { return kInfos[static_cast<int>(dtype) - 1]; }

}  // namespace

int DTypeSize(DType dtype) { return InfoOf(dtype).size; }

int DTypeWordSize(DType dtype) { return InfoOf(dtype).word_size; }

bool IsFloatingPoint(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
    case DType::kBFloat16:
    case DType::kFloat32:
    case DType::kFloat64:
    case DType::kComplex32:
    case DType::kComplex64:
    case DType::kComplex128:
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E5M2:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat8E8M0FNU:
      return true;
    default:
      return false;
  }
}

absl::string_view DTypeName(DType dtype) { return InfoOf(dtype).name; }

absl::StatusOr<DType> ParseDType(absl::string_view name) {
  absl::string_view bare = absl::StripPrefix(name, "torch.");
  std::string known;
  for (const Info& info : kInfos) {
    if (info.name == bare) return info.dtype;
    absl::StrAppend(&known, known.empty() ? "" : ", ", info.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown dtype '", name, "'; known: ", known));
}

absl::StatusOr<DType> DTypeFromNumber(int64_t number) {
  for (const Info& info : kInfos) {
    if (static_cast<int64_t>(info.dtype) == number) return info.dtype;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no dtype has the number ", number));
}

}  // namespace warmstart
