#include "client/cli/report_text.h"

#include <google/protobuf/text_format.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

v1::MatchReport Report(const std::string& text) {
  v1::MatchReport report;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &report));
  return report;
}

v1::MatchReport PartialReport() {
  return Report(R"pb(
    architecture: "architectures/NetB"
    summary: "_IncompatibleKeys(missing_keys=['fc3.bias'], unexpected_keys=['fc4.bias'])"
    missing_keys: "fc3.bias"
    unexpected_keys: "fc4.bias"
    coverage {
      keys_loaded: 3
      keys_total: 4
      parameter_fraction: 0.9867
      bytes_loaded: 2048
      bytes_total: 3072
    }
    entries {
      key: "fc1.weight"
      outcome: TARGET_OUTCOME_MATCHED
      dtype: "float32"
      shape: 120
      shape: 400
      source: 0
      source_key: "fc1.weight"
      source_dtype: "float32"
      source_shape: 120
      source_shape: 400
    }
    entries {
      key: "fc2.weight"
      outcome: TARGET_OUTCOME_RENAMED
      dtype: "float32"
      source: 0
      source_key: "stem.weight"
      source_dtype: "float32"
      rules: "--rename stem.weight=fc2.weight"
    }
    entries {
      key: "fc2.bias"
      outcome: TARGET_OUTCOME_CAST
      dtype: "float32"
      shape: 84
      source: 0
      source_key: "fc2.bias"
      source_dtype: "float16"
      source_shape: 84
    }
    entries {
      key: "fc3.bias"
      outcome: TARGET_OUTCOME_INITIALIZED
      dtype: "float32"
      shape: 10
      initializer: "zeros"
    }
    source_entries {
      key: "fc1.weight"
      outcome: SOURCE_OUTCOME_USED
      dtype: "float32"
    }
    source_entries {
      key: "fc4.bias"
      outcome: SOURCE_OUTCOME_UNEXPECTED
      dtype: "float32"
      shape: 2
    }
    rules { rule: "--rename stem.weight=fc2.weight" keys: 1 }
    subtrees: ""
    notes: "something to know"
  )pb");
}

TEST(ReportTextTest, PipedReportIsPlainAndWhole) {
  EXPECT_EQ(
      RenderReport(PartialReport(), {}),
      R"(_IncompatibleKeys(missing_keys=['fc3.bias'], unexpected_keys=['fc4.bias'])

NetB: loaded 3 of 4 keys, 98.6 % of the parameters, 2.0 KiB of 3.0 KiB
target keys: 1 matched, 1 renamed, 1 cast, 1 initialized
source keys: 1 used, 1 unexpected
rule --rename stem.weight=fc2.weight: changed 1 key
note: something to know

OUTCOME      KEY         SHAPE       DTYPE    FROM              HOW
matched      fc1.weight  [120, 400]  float32  fc1.weight
renamed      fc2.weight  []          float32  stem.weight       --rename stem.weight=fc2.weight
cast         fc2.bias    [84]        float32  fc2.bias float16
initialized  fc3.bias    [10]        float32                    zeros

NOT LOADED  KEY       SHAPE  DTYPE
unexpected  fc4.bias  [2]    float32
)");
}

TEST(ReportTextTest, TerminalGetsColors) {
  const std::string text =
      RenderReport(PartialReport(), {.style = {.color = true}});
  EXPECT_THAT(text, HasSubstr("\x1b[32mmatched\x1b[0m"));
  EXPECT_THAT(text, HasSubstr("\x1b[33minitialized\x1b[0m"));
  EXPECT_THAT(text, HasSubstr("\x1b[33mnote: something to know\x1b[0m"));
}

TEST(ReportTextTest, LongReportIsFolded) {
  EXPECT_THAT(RenderReport(PartialReport(), {.style = {.max_rows = 1}}),
              HasSubstr("... 3 more; --all shows them"));
}

TEST(ReportTextTest, SummaryCanBeLeftOut) {
  EXPECT_THAT(RenderReport(PartialReport(), {.summary = false}),
              StartsWith("NetB: loaded"));
}

TEST(ReportTextTest, PytorchsMessageKeepsItsLines) {
  v1::MatchReport report;
  report.set_summary("Error(s) in loading state_dict for NetB:\n\tMissing");
  EXPECT_THAT(
      RenderReport(report, {}),
      StartsWith("Error(s) in loading state_dict for NetB:\n\tMissing"));
}

TEST(ReportTextTest, SeveralSourcesAreNumbered) {
  v1::MatchReport report = PartialReport();
  report.add_subtrees("model_state");
  report.mutable_entries(1)->set_source(1);
  report.mutable_source_entries(1)->set_source(1);
  const std::string text =
      RenderReport(report, {.sources = {"aliases/stem", "checkpoints/two"}});
  EXPECT_THAT(text, HasSubstr("\nsource [1] aliases/stem\n"
                              "source [2] checkpoints/two, subtree "
                              "model_state\n"));
  EXPECT_THAT(text, HasSubstr("  [1] fc1.weight\n"));
  EXPECT_THAT(text, HasSubstr("  [2] stem.weight  "));
  EXPECT_THAT(text, HasSubstr("unexpected  [2] fc4.bias"));
}

TEST(ReportTextTest, OneSourceIsNamedForItsSubtreeAlone) {
  v1::MatchReport report = PartialReport();
  EXPECT_THAT(RenderReport(report, {.sources = {"aliases/a"}}),
              Not(HasSubstr("aliases/a")));
  report.set_subtrees(0, "model");
  EXPECT_THAT(RenderReport(report, {.sources = {"aliases/a"}}),
              HasSubstr("\nsource aliases/a, subtree model\n"));
}

TEST(ReportTextTest, AnotherShapeOfTheSourceIsShown) {
  v1::MatchReport report = PartialReport();
  report.mutable_entries(0)->set_source_shape(0, 60);
  EXPECT_THAT(RenderReport(report, {}), HasSubstr("fc1.weight [60, 400]"));
}

TEST(ReportTextTest, OutcomesFromTheFutureAreNumbers) {
  v1::MatchReport report = PartialReport();
  report.mutable_entries(0)->set_outcome(static_cast<v1::TargetOutcome>(77));
  EXPECT_THAT(RenderReport(report, {}), HasSubstr("\noutcome 77"));
}

TEST(ReportTextTest, KeysCannotDriveTheTerminal) {
  v1::MatchReport report = PartialReport();
  report.mutable_entries(0)->set_key("a\x1b[2J");
  report.set_notes(0, "b\x1b[2J");
  report.set_summary("c\x1b[2J");
  EXPECT_THAT(RenderReport(report, {}), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace warmstart::client
