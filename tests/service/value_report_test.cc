#include "server/service/value_report.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::warmstart::testing::StatusIs;
using Counts = std::vector<backend::LoadCounts>;

MatchReport ReportOf(size_t keys) {
  MatchReport report;
  report.entries.resize(keys);
  for (size_t i = 0; i < keys; ++i) {
    report.entries[i].key = absl::StrCat("key", i, ".");
  }
  return report;
}

TEST(ValueReportTest, CountsGoIntoTheEntriesAndAreSummedUp) {
  MatchReport report = ReportOf(3);
  ReportCounts(Counts{{0, 1, 0}, {}, {9, 4, 1}}, report);
  EXPECT_EQ(report.entries[0].counts, (ValueCounts{1, 0}));
  EXPECT_EQ(report.entries[1].counts, ValueCounts());
  EXPECT_EQ(report.entries[2].counts, (ValueCounts{4, 1}));
  EXPECT_THAT(
      report.notes,
      ElementsAre("beyond the range of the type that they were cast to: 5 "
                  "values of 2 tensors",
                  "became zero when they were cast: 1 value of 1 tensor"));
}

TEST(ValueReportTest, NothingToSayIsNoNote) {
  MatchReport report = ReportOf(1);
  ReportCounts(Counts{{7, 0, 0}}, report);
  EXPECT_THAT(report.notes, IsEmpty());
}

TEST(ValueReportTest, FiniteValuesPass) {
  EXPECT_OK(CheckFinite(Counts{{}, {0, 3, 3}}, ReportOf(2)));
}

TEST(ValueReportTest, SomeKeysAreNamedAndAllAreCounted) {
  EXPECT_THAT(CheckFinite(Counts{{}, {1, 0, 0}}, ReportOf(2)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "1 value of 1 tensor to be loaded is NaN or infinite: "
                       "key1. (1)"));
  const absl::Status many = CheckFinite(Counts(12, {2, 0, 0}), ReportOf(12));
  EXPECT_THAT(many, StatusIs(absl::StatusCode::kFailedPrecondition,
                             AllOf(HasSubstr("24 values of 12 tensors"),
                                   HasSubstr("key9. (2) and 2 more"),
                                   Not(HasSubstr("key10.")))));
  EXPECT_EQ(ReasonOf(many), "NON_FINITE_VALUES");
}

}  // namespace
}  // namespace warmstart::service
