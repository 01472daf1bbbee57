#include "server/service/value_report.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/error_info.h"

namespace warmstart::service {
namespace {

constexpr size_t kMaxNamedKeys = 10;

// Values of some kind, and how many tensors have them.
struct Tally {
  int64_t values = 0;
  int64_t tensors = 0;

  void Add(int64_t count) {
    values += count;
    tensors += count > 0 ? 1 : 0;
  }
  std::string ToString() const {
    return absl::StrCat(values, values == 1 ? " value" : " values", " of ",
                        tensors, tensors == 1 ? " tensor" : " tensors");
  }
};

}  // namespace

void ReportCounts(absl::Span<const backend::LoadCounts> counts,
                  MatchReport& report) {
  Tally overflowed;
  Tally underflowed;
  for (size_t i = 0; i < counts.size(); ++i) {
    report.entries[i].counts = {counts[i].overflowed, counts[i].underflowed};
    overflowed.Add(counts[i].overflowed);
    underflowed.Add(counts[i].underflowed);
  }
  if (overflowed.values > 0) {
    report.notes.push_back(
        absl::StrCat("beyond the range of the type that they were cast to: ",
                     overflowed.ToString()));
  }
  if (underflowed.values > 0) {
    report.notes.push_back(absl::StrCat("became zero when they were cast: ",
                                        underflowed.ToString()));
  }
}

absl::Status CheckFinite(absl::Span<const backend::LoadCounts> counts,
                         const MatchReport& report) {
  Tally tally;
  std::vector<std::string> named;
  std::string first;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i].non_finite == 0) continue;
    if (named.empty()) first = report.entries[i].key;
    tally.Add(counts[i].non_finite);
    if (named.size() < kMaxNamedKeys) {
      named.push_back(
          absl::StrCat(report.entries[i].key, " (", counts[i].non_finite, ")"));
    }
  }
  if (named.empty()) return absl::OkStatus();
  const int64_t more = tally.tensors - static_cast<int64_t>(named.size());
  return WithErrorInfo(
      absl::FailedPreconditionError(absl::StrCat(
          tally.ToString(), " to be loaded ", tally.values == 1 ? "is" : "are",
          " NaN or infinite: ", absl::StrJoin(named, ", "),
          more > 0 ? absl::StrCat(" and ", more, " more") : "")),
      reason::kNonFiniteValues, {{"key", first}});
}

}  // namespace warmstart::service
