// The dtypes of values: which can be computed with, and which one a computed
// value has by itself.

#ifndef WARMSTART_SERVER_PLANNER_VALUE_TYPES_H_
#define WARMSTART_SERVER_PLANNER_VALUE_TYPES_H_

#include "absl/status/statusor.h"
#include "server/model/derivation.h"
#include "server/model/dtype.h"

namespace warmstart::planner {

// Floating-point and complex types. Others hold counts, indices and flags, of
// which there is no mean.
bool IsFractional(DType dtype);

// The dtype to keep where a policy keeps the source's: that of the first source
// tensor that `value` is made of, or the type that a rule cast it to. What
// arithmetic is done in does not count.
DType OwnDType(const Derivation& value);

// `value`, cast where its dtype is another.
absl::StatusOr<DerivationPtr> CastTo(DerivationPtr value, DType dtype);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_VALUE_TYPES_H_
