// MatchReport: the account that a warm start gives of every key, the target's
// and the sources'.

#ifndef WARMSTART_SERVER_MODEL_REPORT_H_
#define WARMSTART_SERVER_MODEL_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/architecture.h"
#include "server/model/tensor_spec.h"

namespace warmstart {

// What became of a key of the target. Exactly one for each.
enum class TargetOutcome {
  kMatched,      // loaded from the source key of the same name, unchanged
  kRenamed,      // loaded unchanged from a source key of another name
  kAdapted,      // loaded after its shape was changed
  kCast,         // loaded after its dtype was changed
  kKept,         // loaded, and the source's dtype kept, as the policy asked
  kInitialized,  // not loaded; fresh values
};

// What became of a key of a source. Exactly one for each.
enum class SourceOutcome {
  kUsed,
  kUnexpected,  // the target has no such key
  kExcluded,    // left out by include, exclude or subtree
  kShadowed,    // an earlier source had supplied the same target key
  kMismatched,  // its shape did not fit, and the policy was to skip it
};

struct TargetReport {
  std::string key;
  EntryKind kind = EntryKind::kParameter;
  TargetOutcome outcome = TargetOutcome::kInitialized;
  TensorSpec spec;                        // of the result
  int32_t source = -1;                    // index of the source; -1: none
  std::string source_key;                 // its full key; "" for none
  std::optional<TensorSpec> source_spec;  // set with source_key
  std::vector<std::string> rules;         // those that renamed it, in order
  std::string initializer;                // set for kInitialized

  friend bool operator==(const TargetReport&, const TargetReport&) = default;
};

struct SourceReport {
  int32_t source = 0;
  std::string key;  // the full key
  SourceOutcome outcome = SourceOutcome::kUnexpected;
  TensorSpec spec;

  friend bool operator==(const SourceReport&, const SourceReport&) = default;
};

struct ShapeMismatch {
  std::string key;  // the target's
  std::string source_key;
  Shape source_shape;
  Shape target_shape;

  friend bool operator==(const ShapeMismatch&, const ShapeMismatch&) = default;
};

// Loaded and total; a part of the target that is empty counts as covered.
struct Coverage {
  int64_t keys_loaded = 0;
  int64_t keys_total = 0;
  int64_t parameters_loaded = 0;  // elements of parameters and buffers
  int64_t parameters_total = 0;
  int64_t bytes_loaded = 0;  // of the target
  int64_t bytes_total = 0;

  double KeyFraction() const;
  double ParameterFraction() const;
  double ByteFraction() const;

  friend bool operator==(const Coverage&, const Coverage&) = default;
};

// How often a rule of the request applied.
struct RuleUse {
  std::string rule;
  int64_t keys = 0;

  friend bool operator==(const RuleUse&, const RuleUse&) = default;
};

struct MatchReport {
  std::string architecture;
  // What Python's load_state_dict returns or raises, to the letter:
  // "<All keys matched successfully>", "_IncompatibleKeys(missing_keys=[...],
  // unexpected_keys=[...])" or "Error(s) in loading state_dict for NetB:...".
  std::string summary;
  std::vector<std::string> missing_keys;     // in PyTorch's order
  std::vector<std::string> unexpected_keys;  // in PyTorch's order
  std::vector<ShapeMismatch> mismatched_keys;
  Coverage coverage;
  std::vector<TargetReport> entries;         // in the target's order
  std::vector<SourceReport> source_entries;  // in the sources' order
  std::vector<RuleUse> rules;
  // The subtree taken from each source: asked for or found; "" for the root.
  std::vector<std::string> subtrees;
  // What a person should know and no field says: a subtree that was chosen, a
  // rule that matched nothing.
  std::vector<std::string> notes;

  friend bool operator==(const MatchReport&, const MatchReport&) = default;
};

// "matched", "renamed", ...
absl::string_view TargetOutcomeName(TargetOutcome outcome);
absl::string_view SourceOutcomeName(SourceOutcome outcome);

// The form in which catalogs keep a report: a JSON object. FromJson takes what
// ToJson gave, from this version or an earlier one; DATA_LOSS for other text.
std::string MatchReportToJson(const MatchReport& report);
absl::StatusOr<MatchReport> MatchReportFromJson(absl::string_view json);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_REPORT_H_
