// The element types that a tensor can have: PyTorch's, under PyTorch's names.

#ifndef WARMSTART_SERVER_MODEL_DTYPE_H_
#define WARMSTART_SERVER_MODEL_DTYPE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace warmstart {

// The numbers are persisted in catalogs: never renumber, only append.
enum class DType : uint8_t {
  kBool = 1,
  kUint8 = 2,
  kInt8 = 3,
  kInt16 = 4,
  kInt32 = 5,
  kInt64 = 6,
  kUint16 = 7,
  kUint32 = 8,
  kUint64 = 9,
  kFloat16 = 10,
  kBFloat16 = 11,
  kFloat32 = 12,
  kFloat64 = 13,
  kComplex32 = 14,
  kComplex64 = 15,
  kComplex128 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E5M2 = 18,
  kFloat8E4M3FNUZ = 19,
  kFloat8E5M2FNUZ = 20,
  kFloat8E8M0FNU = 21,
};

inline constexpr DType kAllDTypes[] = {
    DType::kBool,           DType::kUint8,          DType::kInt8,
    DType::kInt16,          DType::kInt32,          DType::kInt64,
    DType::kUint16,         DType::kUint32,         DType::kUint64,
    DType::kFloat16,        DType::kBFloat16,       DType::kFloat32,
    DType::kFloat64,        DType::kComplex32,      DType::kComplex64,
    DType::kComplex128,     DType::kFloat8E4M3FN,   DType::kFloat8E5M2,
    DType::kFloat8E4M3FNUZ, DType::kFloat8E5M2FNUZ, DType::kFloat8E8M0FNU,
};

// Bytes of one element: 1, 2, 4, 8 or 16.
int DTypeSize(DType dtype);

// Bytes of the unit whose byte order matters: half of an element for complex
// types, the whole element for all others.
int DTypeWordSize(DType dtype);

// Whether it holds fractions, complex ones too.
bool IsFloatingPoint(DType dtype);

// PyTorch's name without the "torch." prefix, e.g. "float32".
absl::string_view DTypeName(DType dtype);

// Takes a name as DTypeName gives it, with or without the "torch." prefix.
// INVALID_ARGUMENT when there is no such type; the message lists those that
// there are.
absl::StatusOr<DType> ParseDType(absl::string_view name);

// The type that a persisted number stands for; INVALID_ARGUMENT for others.
absl::StatusOr<DType> DTypeFromNumber(int64_t number);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_DTYPE_H_
