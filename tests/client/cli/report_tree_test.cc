#include "client/cli/report_tree.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

void Add(v1::MatchReport& report, const std::string& key,
         v1::TargetOutcome outcome = v1::TARGET_OUTCOME_MATCHED,
         const std::string& source_key = "") {
  v1::TargetEntry& entry = *report.add_entries();
  entry.set_key(key);
  entry.set_outcome(outcome);
  entry.add_shape(4);
  if (outcome == v1::TARGET_OUTCOME_INITIALIZED) {
    entry.set_initializer("zeros");
    return;
  }
  entry.set_source(0);
  entry.set_source_key(source_key.empty() ? key : source_key);
}

TEST(ReportTreeTest, LayersThatFaredAlikeAreOne) {
  v1::MatchReport report;
  Add(report, "wte.weight");
  for (int i = 0; i < 12; ++i) {
    const std::string layer = "h." + std::to_string(i);
    Add(report, layer + ".ln.weight");
    Add(report, layer + ".attn.c_attn.weight", v1::TARGET_OUTCOME_RENAMED,
        "transformer." + layer + ".attn.weight");
  }
  Add(report, "head.weight", v1::TARGET_OUTCOME_INITIALIZED);
  EXPECT_EQ(
      RenderReportTree(report, {}),
      R"(KEY                   OUTCOME      SHAPE  FROM                         HOW
wte.weight            matched      [4]
h.{0...11}            12 layers
  ln.weight           matched      [4]
  attn.c_attn.weight  renamed      [4]    transformer.h.#.attn.weight
head.weight           initialized  [4]                                 zeros
)");
}

TEST(ReportTreeTest, ALayerThatFaredOtherwiseStandsAlone) {
  v1::MatchReport report;
  for (int i = 0; i < 5; ++i) {
    Add(report, "h." + std::to_string(i) + ".w",
        i == 2 ? v1::TARGET_OUTCOME_INITIALIZED : v1::TARGET_OUTCOME_MATCHED);
  }
  const std::string tree = RenderReportTree(report, {});
  EXPECT_THAT(tree, HasSubstr("  {0...1}.w"));
  EXPECT_THAT(tree, HasSubstr("  2.w"));
  EXPECT_THAT(tree, HasSubstr("  {3...4}.w"));
}

TEST(ReportTreeTest, NamesAreNotFolded) {
  v1::MatchReport report;
  Add(report, "a.w");
  Add(report, "b.w");
  EXPECT_THAT(RenderReportTree(report, {}), Not(HasSubstr("...")));
}

TEST(ReportTreeTest, AReportWithoutKeysIsEmpty) {
  EXPECT_THAT(RenderReportTree({}, {}), IsEmpty());
}

TEST(ReportTreeTest, KeysCannotDriveTheTerminal) {
  v1::MatchReport report;
  Add(report, "a\x1b[2J.w");
  EXPECT_THAT(RenderReportTree(report, {}), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace warmstart::client
