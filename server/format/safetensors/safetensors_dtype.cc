#include "server/format/safetensors/safetensors_dtype.h"

namespace warmstart::format {
namespace {

// All of safetensors 0.8.
constexpr SafetensorsDType kTypes[] = {
    {"BOOL", 8, DType::kBool},
    {"U8", 8, DType::kUint8},
    {"I8", 8, DType::kInt8},
    {"I16", 16, DType::kInt16},
    {"I32", 32, DType::kInt32},
    {"I64", 64, DType::kInt64},
    {"U16", 16, DType::kUint16},
    {"U32", 32, DType::kUint32},
    {"U64", 64, DType::kUint64},
    {"F16", 16, DType::kFloat16},
    {"BF16", 16, DType::kBFloat16},
    {"F32", 32, DType::kFloat32},
    {"F64", 64, DType::kFloat64},
    {"C64", 64, DType::kComplex64},
    {"F8_E4M3", 8, DType::kFloat8E4M3FN},
    {"F8_E5M2", 8, DType::kFloat8E5M2},
    {"F8_E4M3FNUZ", 8, DType::kFloat8E4M3FNUZ},
    {"F8_E5M2FNUZ", 8, DType::kFloat8E5M2FNUZ},
    {"F8_E8M0", 8, DType::kFloat8E8M0FNU},
    {"F4", 4, std::nullopt},
    {"F6_E2M3", 6, std::nullopt},
    {"F6_E3M2", 6, std::nullopt},
};

}  // namespace

const SafetensorsDType* FindSafetensorsDType(absl::string_view name) {
  for (const SafetensorsDType& type : kTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

const SafetensorsDType* FindSafetensorsDType(DType dtype) {
  for (const SafetensorsDType& type : kTypes) {
    if (type.dtype == dtype) return &type;
  }
  return nullptr;
}

}  // namespace warmstart::format
