#include "server/model/report.h"

namespace warmstart {
namespace {

// Nothing to load is nothing missing.
double Fraction(int64_t loaded, int64_t total) {
  return total == 0 ? 1.0
                    : static_cast<double>(loaded) / static_cast<double>(total);
}

}  // namespace

double Coverage::KeyFraction() const {
  return Fraction(keys_loaded, keys_total);
}
double Coverage::ParameterFraction() const {
  return Fraction(parameters_loaded, parameters_total);
}
double Coverage::ByteFraction() const {
  return Fraction(bytes_loaded, bytes_total);
}

absl::string_view TargetOutcomeName(TargetOutcome outcome) {
  switch (outcome) {
    case TargetOutcome::kMatched:
      return "matched";
    case TargetOutcome::kRenamed:
      return "renamed";
    case TargetOutcome::kAdapted:
      return "adapted";
    case TargetOutcome::kAveraged:
      return "averaged";
    case TargetOutcome::kCast:
      return "cast";
    case TargetOutcome::kKept:
      return "kept";
    case TargetOutcome::kInitialized:
      return "initialized";
  }
  return "";
}

absl::string_view SourceOutcomeName(SourceOutcome outcome) {
  switch (outcome) {
    case SourceOutcome::kUsed:
      return "used";
    case SourceOutcome::kUnexpected:
      return "unexpected";
    case SourceOutcome::kExcluded:
      return "excluded";
    case SourceOutcome::kShadowed:
      return "shadowed";
    case SourceOutcome::kMismatched:
      return "mismatched";
  }
  return "";
}

}  // namespace warmstart
