#include "server/planner/value_types.h"

#include <optional>
#include <utility>

namespace warmstart::planner {
namespace {

// Nothing for what is all fresh. Follows first operands, but for those that are
// fresh, so that shared nodes are not walked twice.
std::optional<DType> FindOwnDType(const Derivation& value) {
  if (std::holds_alternative<FreshOp>(value.op)) return std::nullopt;
  if (value.operands.empty()) return value.spec.dtype();
  if (std::holds_alternative<CastOp>(value.op) &&
      !std::holds_alternative<FreshOp>(value.operands[0]->op)) {
    return value.spec.dtype();
  }
  for (const DerivationPtr& operand : value.operands) {
    if (const auto dtype = FindOwnDType(*operand)) return dtype;
  }
  return std::nullopt;
}

}  // namespace

bool IsFractional(DType dtype) {
  switch (dtype) {
    case DType::kBool:
    case DType::kUint8:
    case DType::kInt8:
    case DType::kInt16:
    case DType::kInt32:
    case DType::kInt64:
    case DType::kUint16:
    case DType::kUint32:
    case DType::kUint64:
      return false;
    default:
      return true;
  }
}

DType OwnDType(const Derivation& value) {
  return FindOwnDType(value).value_or(value.spec.dtype());
}

absl::StatusOr<DerivationPtr> CastTo(DerivationPtr value, DType dtype) {
  if (value->spec.dtype() == dtype) return value;
  return Derive(CastOp{dtype}, {std::move(value)});
}

}  // namespace warmstart::planner
