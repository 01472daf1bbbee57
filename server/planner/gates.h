// Gates: what a request asks of a plan before it may be executed.

#ifndef WARMSTART_SERVER_PLANNER_GATES_H_
#define WARMSTART_SERVER_PLANNER_GATES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/planner/failures.h"
#include "server/planner/glob.h"
#include "server/planner/plan.h"

namespace re2 {
class RE2;
}

namespace warmstart::planner {

// Regular expressions, searched in keys.
class KeyPatterns {
 public:
  // INVALID_ARGUMENT, with `field` and the index, for what is no expression.
  static absl::StatusOr<KeyPatterns> Create(
      absl::string_view field, absl::Span<const std::string> patterns);
  ~KeyPatterns();
  KeyPatterns(KeyPatterns&&) noexcept;
  KeyPatterns& operator=(KeyPatterns&&) noexcept;

  // Takes the keys that match out of `keys`, and says how many they were.
  int64_t RemoveFrom(std::vector<std::string>* keys) const;

 private:
  KeyPatterns();

  std::vector<std::unique_ptr<re2::RE2>> patterns_;
};

class Gates {
 public:
  // INVALID_ARGUMENT for a gate that cannot be used.
  static absl::StatusOr<Gates> Create(const PlanRequest& request);

  // Takes the keys that may be missing or unexpected out of the report's lists,
  // writes its summary, and gives the verdict. `failures` are those of the
  // policies; the report is complete but for that.
  absl::Status Judge(Failures failures, Plan* plan) const;

 private:
  struct Gate {
    GlobSet keys;
    const CoverageGate* given;
  };

  Gates(const PlanRequest& request, KeyPatterns missing, KeyPatterns unexpected)
      : request_(request),
        expected_missing_(std::move(missing)),
        expected_unexpected_(std::move(unexpected)) {}

  void RemoveExpected(MatchReport* report) const;
  Failures StrictFailures(const MatchReport& report) const;
  Failures CoverageFailures(const Plan& plan) const;
  Failure CheckGate(const Gate& gate, const Plan& plan) const;

  const PlanRequest& request_;
  KeyPatterns expected_missing_;
  KeyPatterns expected_unexpected_;
  std::vector<Gate> gates_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_GATES_H_
