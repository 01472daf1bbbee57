#include "client/cli/outcome_text.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace warmstart::client {
namespace {

// "TARGET_OUTCOME_MATCHED" -> "matched".
template <typename Outcome>
std::string NameOf(Outcome outcome, const std::string& enum_name,
                   absl::string_view prefix) {
  if (enum_name.empty()) return absl::StrCat("outcome ", outcome);
  return absl::AsciiStrToLower(absl::StripPrefix(enum_name, prefix));
}

}  // namespace

std::string OutcomeText(v1::TargetOutcome outcome) {
  return NameOf(outcome, v1::TargetOutcome_Name(outcome), "TARGET_OUTCOME_");
}

std::string OutcomeText(v1::SourceOutcome outcome) {
  return NameOf(outcome, v1::SourceOutcome_Name(outcome), "SOURCE_OUTCOME_");
}

Color OutcomeColor(v1::TargetOutcome outcome) {
  switch (outcome) {
    case v1::TARGET_OUTCOME_MATCHED:
      return Color::kGreen;
    case v1::TARGET_OUTCOME_INITIALIZED:
      return Color::kYellow;
    default:
      return Color::kCyan;
  }
}

Color OutcomeColor(v1::SourceOutcome outcome) {
  switch (outcome) {
    case v1::SOURCE_OUTCOME_UNEXPECTED:
    case v1::SOURCE_OUTCOME_MISMATCHED:
      return Color::kYellow;
    default:
      return Color::kDim;
  }
}

std::string HowText(const v1::TargetEntry& entry) {
  std::vector<std::string> parts;
  // What an adapter did says more than the operations that did it.
  if (!entry.adaptation().empty()) {
    parts.push_back(entry.adaptation());
  } else if (!entry.derivation().empty()) {
    parts.push_back(entry.derivation());
  }
  if (!entry.initializer().empty()) parts.push_back(entry.initializer());
  parts.insert(parts.end(), entry.rules().begin(), entry.rules().end());
  if (!entry.tied_to().empty()) {
    parts.push_back(absl::StrCat("tied to ", entry.tied_to()));
  }
  if (entry.overflow_count() > 0) {
    parts.push_back(
        absl::StrCat(Plural(entry.overflow_count(), "value"), " overflowed"));
  }
  if (entry.underflow_count() > 0) {
    parts.push_back(
        absl::StrCat(Plural(entry.underflow_count(), "value"), " became 0"));
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace warmstart::client
