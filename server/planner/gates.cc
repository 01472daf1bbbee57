#include "server/planner/gates.h"

#include <re2/re2.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/planner/torch_messages.h"

namespace warmstart::planner {
namespace {

constexpr size_t kMaxPatternBytes = 1024;

absl::Status CheckFraction(absl::string_view field, double fraction) {
  if (fraction >= 0 && fraction <= 1) return absl::OkStatus();
  return InvalidField(
      field, absl::StrCat(fraction, " is not a fraction between 0 and 1"));
}

// Of some entries of the target.
struct Loaded {
  int64_t keys = 0;
  int64_t parameters = 0;
  int64_t total = 0;

  double Fraction() const {
    return total == 0
               ? 1.0
               : static_cast<double>(parameters) / static_cast<double>(total);
  }
};

void Append(Failures more, Failures* failures) {
  std::move(more.begin(), more.end(), std::back_inserter(*failures));
}

std::vector<std::string> Messages(const Failures& failures) {
  std::vector<std::string> messages;
  for (const Failure& failure : failures) messages.push_back(failure.message);
  return messages;
}

}  // namespace

KeyPatterns::KeyPatterns() = default;
KeyPatterns::~KeyPatterns() = default;
KeyPatterns::KeyPatterns(KeyPatterns&&) noexcept = default;
KeyPatterns& KeyPatterns::operator=(KeyPatterns&&) noexcept = default;

absl::StatusOr<KeyPatterns> KeyPatterns::Create(
    absl::string_view field, absl::Span<const std::string> patterns) {
  KeyPatterns result;
  for (size_t i = 0; i < patterns.size(); ++i) {
    const std::string path = absl::StrCat(field, "[", i, "]");
    if (patterns[i].empty() || patterns[i].size() > kMaxPatternBytes) {
      return InvalidField(
          path, absl::StrCat("must be 1 to ", kMaxPatternBytes, " bytes long"));
    }
    auto regex = std::make_unique<re2::RE2>(patterns[i], re2::RE2::Quiet);
    if (!regex->ok()) {
      return InvalidField(
          path, absl::StrCat(
                    "'", patterns[i],
                    "' is not a regular expression (RE2): ", regex->error()));
    }
    result.patterns_.push_back(std::move(regex));
  }
  return result;
}

int64_t KeyPatterns::RemoveFrom(std::vector<std::string>* keys) const {
  if (patterns_.empty()) return 0;
  return static_cast<int64_t>(std::erase_if(*keys, [this](const auto& key) {
    return std::any_of(patterns_.begin(), patterns_.end(),
                       [&](const auto& pattern) {
                         return re2::RE2::PartialMatch(key, *pattern);
                       });
  }));
}

absl::StatusOr<Gates> Gates::Create(const PlanRequest& request) {
  RETURN_IF_ERROR(CheckFraction("min_coverage", request.min_coverage));
  ASSIGN_OR_RETURN(
      KeyPatterns missing,
      KeyPatterns::Create("expected_missing", request.expected_missing));
  ASSIGN_OR_RETURN(
      KeyPatterns unexpected,
      KeyPatterns::Create("expected_unexpected", request.expected_unexpected));
  Gates gates(request, std::move(missing), std::move(unexpected));
  for (size_t i = 0; i < request.coverage_gates.size(); ++i) {
    const CoverageGate& given = request.coverage_gates[i];
    const std::string field = absl::StrCat("coverage_gates[", i, "]");
    RETURN_IF_ERROR(CheckFraction(absl::StrCat(field, ".min_coverage"),
                                  given.min_coverage));
    ASSIGN_OR_RETURN(GlobSet keys, GlobSet::Create(absl::StrCat(field, ".keys"),
                                                   {&given.keys, 1}));
    gates.gates_.push_back({std::move(keys), &given});
  }
  return gates;
}

void Gates::RemoveExpected(MatchReport* report) const {
  const int64_t missing = expected_missing_.RemoveFrom(&report->missing_keys);
  const int64_t unexpected =
      expected_unexpected_.RemoveFrom(&report->unexpected_keys);
  if (missing > 0) {
    report->notes.push_back(absl::StrCat(
        missing, " keys are missing, as expected, and are not listed"));
  }
  if (unexpected > 0) {
    report->notes.push_back(absl::StrCat(
        unexpected, " keys are unexpected, as expected, and are not listed"));
  }
}

Failures Gates::StrictFailures(const MatchReport& report) const {
  Failures failures;
  if (!request_.strict) return failures;
  if (!report.missing_keys.empty()) {
    failures.push_back(
        {reason::kStrictNotMet, MissingKeysMessage(report.missing_keys)});
  }
  if (!report.unexpected_keys.empty()) {
    failures.push_back(
        {reason::kStrictNotMet, UnexpectedKeysMessage(report.unexpected_keys)});
  }
  return failures;
}

// Its message is empty where the gate is met.
Failure Gates::CheckGate(const Gate& gate, const Plan& plan) const {
  Loaded loaded;
  for (size_t i = 0; i < plan.assignments.size(); ++i) {
    const ArchitectureEntry& entry = request_.target->entries[i];
    if (!gate.keys.Matches(entry.key)) continue;
    loaded.keys += 1;
    loaded.total += entry.spec.num_elements();
    if (plan.assignments[i].value != nullptr) {
      loaded.parameters += entry.spec.num_elements();
    }
  }
  Failure failure{reason::kCoverageNotMet,
                  "",
                  {{"keys", gate.given->keys},
                   {"coverage", absl::StrCat(loaded.Fraction())},
                   {"min_coverage", absl::StrCat(gate.given->min_coverage)}}};
  if (loaded.keys == 0) {
    failure.message = absl::StrCat("coverage of '", gate.given->keys,
                                   "': the target has no such key");
  } else if (loaded.Fraction() < gate.given->min_coverage) {
    failure.message = absl::StrCat(
        "coverage of '", gate.given->keys, "': ", loaded.parameters, " of ",
        loaded.total, " parameters (", loaded.Fraction(),
        ") were loaded, less than the minimum coverage of ",
        gate.given->min_coverage);
  }
  return failure;
}

Failures Gates::CoverageFailures(const Plan& plan) const {
  Failures failures;
  const Coverage& coverage = plan.report.coverage;
  if (const double fraction = coverage.ParameterFraction();
      fraction < request_.min_coverage) {
    failures.push_back(
        {reason::kCoverageNotMet,
         absl::StrCat("coverage: ", coverage.parameters_loaded, " of ",
                      coverage.parameters_total, " parameters (", fraction,
                      ") were loaded, less than the minimum coverage of ",
                      request_.min_coverage),
         {{"coverage", absl::StrCat(fraction)},
          {"min_coverage", absl::StrCat(request_.min_coverage)}}});
  }
  for (const Gate& gate : gates_) {
    Failure failure = CheckGate(gate, plan);
    if (!failure.message.empty()) failures.push_back(std::move(failure));
  }
  return failures;
}

absl::Status Gates::Judge(Failures failures, Plan* plan) const {
  MatchReport& report = plan->report;
  RemoveExpected(&report);
  // PyTorch puts missing keys first, then unexpected ones, then the rest.
  Failures all = StrictFailures(report);
  Append(std::move(failures), &all);
  report.summary =
      all.empty()
          ? IncompatibleKeysRepr(report.missing_keys, report.unexpected_keys)
          : LoadingErrorMessage(request_.target->name, Messages(all));
  std::string message = all.empty() ? "" : report.summary;
  // Of coverage, PyTorch knows nothing.
  Failures coverage = CoverageFailures(*plan);
  for (const Failure& failure : coverage) {
    absl::StrAppend(&message, message.empty() ? "" : "\n", failure.message);
  }
  Append(std::move(coverage), &all);
  if (all.empty()) return absl::OkStatus();
  return WithErrorInfo(absl::FailedPreconditionError(message), all[0].reason,
                       all[0].metadata);
}

}  // namespace warmstart::planner
