// MakePlan: how each entry of a target is made from tensors of the sources.
//
// Planning is a pure function of metadata. It touches no tensor byte, no disk,
// no clock: a dry run is the plan alone, a warm start is the plan and then its
// execution. Its cost is linear in the number of keys.

#ifndef WARMSTART_SERVER_PLANNER_PLAN_H_
#define WARMSTART_SERVER_PLANNER_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/architecture.h"
#include "server/model/derivation.h"
#include "server/model/key_rule.h"
#include "server/model/manifest.h"
#include "server/model/report.h"
#include "server/model/shape_adapter.h"

namespace warmstart::planner {

// The source is a LoRA adapter, with PEFT's key names, that is merged into what
// the other sources supply: W + weight * scaling * B A. Base weights that are
// stored as [in, out], as GPT-2's are, are told by their shapes; square ones
// are taken to be as the others of the adapter are, and a note says so.
struct LoraAdapter {
  double alpha = 1;
  bool rslora = false;  // scaling is alpha / sqrt(r) rather than alpha / r
  friend bool operator==(const LoraAdapter&, const LoraAdapter&) = default;
};

struct PlanSource {
  const Manifest* manifest = nullptr;  // borrowed for the call
  std::string name;                    // for messages: "checkpoints/abc"
  // The state_dict inside it; where it is empty and no plain key matches, the
  // usual places are searched.
  std::string subtree;
  double weight = 1;  // in a combination, or of a LoRA adapter
  std::optional<LoraAdapter> lora = std::nullopt;
};

enum class ShapePolicy { kError, kSkip, kAdapt };
enum class DTypePolicy { kCast, kKeep, kError };
enum class Matching { kExact, kAuto };

// How several sources become one, LoRA adapters left aside. Each key is made of
// the sources that have it, whose weights are scaled up to the sum of all;
// where their shapes differ, that is an error. Only floating-point and complex
// tensors are computed with: of others, the first source's is taken.

// The first source that has a key supplies it.
struct Overlay {
  friend bool operator==(const Overlay&, const Overlay&) = default;
};
// The weighted mean ("model soup"); `normalize`: weights are divided by their
// sum.
struct WeightedAverage {
  bool normalize = true;
  friend bool operator==(const WeightedAverage&,
                         const WeightedAverage&) = default;
};
// From the first source on: average = decay * average + (1 - decay) * source.
struct MovingAverage {
  double decay = 0.999;
  friend bool operator==(const MovingAverage&, const MovingAverage&) = default;
};
// Between two sources, tensor by tensor.
struct SphericalInterpolation {
  double t = 0.5;
  friend bool operator==(const SphericalInterpolation&,
                         const SphericalInterpolation&) = default;
};
// The first source plus weight * (source - first) for each of the others.
struct TaskArithmetic {
  friend bool operator==(const TaskArithmetic&,
                         const TaskArithmetic&) = default;
};
using Combination = std::variant<Overlay, WeightedAverage, MovingAverage,
                                 SphericalInterpolation, TaskArithmetic>;

// Target keys that match `keys` (a glob), where they are not loaded, are
// initialised by `initializer` and not by the architecture's.
struct InitializerOverride {
  std::string keys;
  Initializer initializer;
  friend bool operator==(const InitializerOverride&,
                         const InitializerOverride&) = default;
};

// Of the target keys that match `keys` (a glob), at least this fraction of the
// parameters must be loaded.
struct CoverageGate {
  std::string keys;
  double min_coverage = 1;
  friend bool operator==(const CoverageGate&, const CoverageGate&) = default;
};

// As WarmStartRequest's fields of the same names.
struct PlanRequest {
  const Architecture* target = nullptr;  // borrowed for the call
  std::vector<PlanSource> sources;
  std::vector<KeyRule> rules;
  bool invert_rules = false;
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  Matching matching = Matching::kExact;
  Combination combination;
  std::vector<ShapeAdapter> shape_adapters;
  std::vector<Widening> widenings;
  std::vector<InitializerOverride> initializers;
  bool strict = false;
  ShapePolicy on_shape_mismatch = ShapePolicy::kError;
  DTypePolicy on_dtype_mismatch = DTypePolicy::kCast;
  double min_coverage = 0;
  std::vector<CoverageGate> coverage_gates;
  // RE2 expressions, searched in keys: such keys may be missing or unexpected,
  // and are not listed (transformers' _keys_to_ignore_on_load_...).
  std::vector<std::string> expected_missing;
  std::vector<std::string> expected_unexpected;
};

// What becomes of one target entry. Entries that are tied have equal
// assignments, and fresh values in them are those of the entry that the others
// are tied to.
struct Assignment {
  // How its values are made; its shape is the target's and its dtype `dtype`.
  // Null: they are initialised.
  DerivationPtr value;
  DType dtype = DType::kFloat32;  // of the result
  // In place of the architecture's, for a fresh value.
  std::optional<Initializer> initializer;
};

struct Plan {
  std::vector<Assignment> assignments;  // one for each target entry, in order
  MatchReport report;                   // complete, whatever the verdict
  // FAILED_PRECONDITION, in PyTorch's words and with an ErrorInfo, when a
  // policy of the request is not met: then the plan must not be executed.
  absl::Status verdict;
};

// With the defaults, what target.load_state_dict(source, strict=False) does.
//   INVALID_ARGUMENT  a rule, glob, adapter, initializer or gate that cannot be
//                     used; two source keys that end on one key; fractions
//                     outside 0 to 1; tensors that cannot be combined, merged
//                     or widened
//   NOT_FOUND         a subtree that the source does not have
absl::StatusOr<Plan> MakePlan(const PlanRequest& request);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_PLAN_H_
