#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/report.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

MatchReport FullReport() {
  const TensorSpec spec =
      TensorSpec::Create(DType::kFloat32, Shape::Create({2, 3}).value())
          .value();
  const TensorSpec half =
      TensorSpec::Create(DType::kFloat16, Shape::Create({3}).value()).value();
  MatchReport report;
  report.architecture = "NetB";
  report.summary = "Error(s) in loading state_dict for NetB:\n\t\"quoted\"";
  report.missing_keys = {"a", "b"};
  report.unexpected_keys = {"c"};
  report.mismatched_keys.push_back({"m", "x.m", half.shape(), spec.shape()});
  report.coverage = {1, 2, 3, 4, 5, 6};
  TargetReport loaded;
  loaded.key = "w";
  loaded.kind = EntryKind::kBuffer;
  loaded.outcome = TargetOutcome::kCast;
  loaded.spec = spec;
  loaded.source = 1;
  loaded.source_key = "model.w";
  loaded.source_spec = half;
  loaded.rules = {"--strip-prefix model."};
  TargetReport fresh;
  fresh.key = "v";
  fresh.initializer = "zeros";
  report.entries = {loaded, fresh};
  report.source_entries.push_back({1, "model.w", SourceOutcome::kUsed, half});
  report.source_entries.push_back({0, "c", SourceOutcome::kUnexpected, half});
  report.rules.push_back({"--strip-prefix model.", 7});
  report.subtrees = {"", "model"};
  report.notes = {"a note"};
  return report;
}

TEST(ReportJsonTest, EveryFieldComesBack) {
  const std::string json = MatchReportToJson(FullReport());
  ASSERT_OK_AND_ASSIGN(const MatchReport report, MatchReportFromJson(json));

  // The text has every field, so equal text means that nothing was lost.
  EXPECT_EQ(MatchReportToJson(report), json);
  EXPECT_EQ(report.summary, FullReport().summary);
  EXPECT_EQ(report.entries[0].source_key, "model.w");
  EXPECT_EQ(report.entries[0].outcome, TargetOutcome::kCast);
  EXPECT_EQ(report.entries[0].kind, EntryKind::kBuffer);
  EXPECT_EQ(*report.entries[0].source_spec,
            *FullReport().entries[0].source_spec);
  EXPECT_EQ(report.entries[1].source, -1);
  EXPECT_FALSE(report.entries[1].source_spec.has_value());
  EXPECT_EQ(report.coverage.bytes_total, 6);
  EXPECT_EQ(report.rules[0].keys, 7);
}

TEST(ReportJsonTest, EveryOutcomeComesBack) {
  MatchReport report;
  for (int i = 0; i <= static_cast<int>(TargetOutcome::kInitialized); ++i) {
    TargetReport entry;
    entry.outcome = static_cast<TargetOutcome>(i);
    report.entries.push_back(entry);
  }
  for (int i = 0; i <= static_cast<int>(SourceOutcome::kMismatched); ++i) {
    report.source_entries.push_back(
        {0, "k", static_cast<SourceOutcome>(i), TensorSpec()});
  }
  ASSERT_OK_AND_ASSIGN(const MatchReport back,
                       MatchReportFromJson(MatchReportToJson(report)));
  for (size_t i = 0; i < report.entries.size(); ++i) {
    EXPECT_EQ(back.entries[i].outcome, report.entries[i].outcome);
  }
  for (size_t i = 0; i < report.source_entries.size(); ++i) {
    EXPECT_EQ(back.source_entries[i].outcome, report.source_entries[i].outcome);
  }
}

TEST(ReportJsonTest, TextThatWasNotWrittenHereIsDataLoss) {
  for (const char* text : {"", "null", "{}", "{\"architecture\": 1}"}) {
    EXPECT_THAT(MatchReportFromJson(text),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("report")))
        << text;
  }
}

}  // namespace
}  // namespace warmstart
