#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
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
  ASSERT_OK_AND_ASSIGN(const MatchReport report,
                       MatchReportFromJson(MatchReportToJson(FullReport())));
  EXPECT_EQ(report, FullReport());
}

// A report of any size with any keys: quotes, control characters, characters of
// every length.
class RandomReports {
 public:
  explicit RandomReports(uint32_t seed) : random_(seed) {}

  MatchReport Next() {
    MatchReport report;
    report.architecture = Text();
    report.summary = Text();
    report.missing_keys = Texts();
    report.unexpected_keys = Texts();
    for (int i = Below(3); i > 0; --i) {
      report.mismatched_keys.push_back(
          {Text(), Text(), Spec().shape(), Spec().shape()});
    }
    report.coverage = {Number(), Number(), Number(),
                       Number(), Number(), Number()};
    for (int i = Below(8); i > 0; --i) report.entries.push_back(Target());
    for (int i = Below(8); i > 0; --i) {
      report.source_entries.push_back(
          {Below(3), Text(), static_cast<SourceOutcome>(Below(5)), Spec()});
    }
    for (const TargetReport& entry : report.entries) {
      if (entry.source < 0 || Below(4) == 0) continue;
      report.source_entries.push_back({entry.source, entry.source_key,
                                       SourceOutcome::kUsed,
                                       *entry.source_spec});
    }
    for (int i = Below(3); i > 0; --i) {
      report.rules.push_back({Text(), Number()});
    }
    report.subtrees = Texts();
    report.notes = Texts();
    return report;
  }

 private:
  int Below(int bound) { return static_cast<int>(random_() % bound); }
  int64_t Number() {
    return static_cast<int64_t>((uint64_t{random_()} << 31) ^ random_());
  }

  std::string Text() {
    static constexpr const char* kPieces[] = {"layer",
                                              ".",
                                              "weight",
                                              "\"",
                                              "\\",
                                              "/",
                                              "\n",
                                              "\t",
                                              "\r",
                                              "\b",
                                              "\x01",
                                              "\x1F",
                                              "\x7F",
                                              "{",
                                              "\xC3\xA9",
                                              "\xE2\x82\xAC",
                                              "\xF0\x9F\x98\x80",
                                              ",",
                                              ":",
                                              "\\u0041"};
    std::string text;
    for (int i = Below(6); i > 0; --i) {
      text += kPieces[Below(std::size(kPieces))];
    }
    if (Below(8) == 0) text.push_back('\0');
    return text;
  }
  std::vector<std::string> Texts() {
    std::vector<std::string> texts(Below(4));
    for (std::string& text : texts) text = Text();
    return texts;
  }

  TensorSpec Spec() {
    std::vector<int64_t> sizes(Below(4));
    for (int64_t& size : sizes) size = Below(1000);
    return TensorSpec::Create(
               Below(2) == 0 ? DType::kFloat32 : DType::kBFloat16,
               Shape::Create(std::move(sizes)).value())
        .value();
  }

  TargetReport Target() {
    TargetReport entry;
    entry.key = Text();
    entry.kind = Below(2) == 0 ? EntryKind::kBuffer : EntryKind::kParameter;
    entry.outcome = static_cast<TargetOutcome>(Below(6));
    entry.spec = Spec();
    entry.source = Below(3) - 1;
    if (entry.source >= 0) {
      entry.source_key = Below(2) == 0 ? entry.key : Text();
      entry.source_spec = Below(2) == 0 ? entry.spec : Spec();
    }
    entry.rules = Texts();
    entry.initializer = Text();
    return entry;
  }

  std::mt19937 random_;
};

TEST(ReportJsonTest, AnyReportComesBack) {
  RandomReports reports(11);
  for (int round = 0; round < 500; ++round) {
    const MatchReport report = reports.Next();
    const std::string json = MatchReportToJson(report);
    ASSERT_OK_AND_ASSIGN(const MatchReport back, MatchReportFromJson(json));
    ASSERT_EQ(back, report) << json;
  }
}

// A key that was matched with the first source's, and what is said of it by its
// entry alone.
MatchReport ReportOfAMatch() {
  MatchReport report = FullReport();
  TargetReport matched;
  matched.key = "u";
  matched.outcome = TargetOutcome::kMatched;
  matched.spec = report.entries[0].spec;
  matched.source = 0;
  matched.source_key = "u";
  matched.source_spec = matched.spec;
  report.entries.push_back(matched);
  report.source_entries.push_back({0, "u", SourceOutcome::kUsed, matched.spec});
  return report;
}

// Catalogs keep it, and other versions of the server read them.
TEST(ReportJsonTest, TextIsWhatItAlwaysWas) {
  EXPECT_EQ(
      MatchReportToJson(ReportOfAMatch()),
      R"({"architecture":"NetB","summary":"Error(s) in loading state_dict )"
      R"(for NetB:\n\t\"quoted\"","missing_keys":["a","b"],)"
      R"("unexpected_keys":["c"],"mismatched_keys":[{"key":"m",)"
      R"("source_key":"x.m","source_shape":[3],"target_shape":[2,3]}],)"
      R"("coverage":[1,2,3,4,5,6],"entries":[{"dtype":"float32",)"
      R"("shape":[2,3],"key":"w","buffer":true,"outcome":"cast","source":1,)"
      R"("source_key":"model.w","source_spec":{"dtype":"float16",)"
      R"("shape":[3]},"rules":["--strip-prefix model."]},)"
      R"({"dtype":"float32","shape":[],"key":"v","outcome":"initialized",)"
      R"("initializer":"zeros"},{"dtype":"float32","shape":[2,3],"key":"u"}],)"
      R"("source_entries":[0,[0,"c","unexpected","float16",[3]],2],)"
      R"("rules":[{"rule":"--strip-prefix model.","keys":7}],)"
      R"("subtrees":["","model"],"notes":["a note"]})");
}

TEST(ReportJsonTest, TextOfEarlierVersionsIsRead) {
  ASSERT_OK_AND_ASSIGN(
      const MatchReport report,
      MatchReportFromJson(
          R"({"architecture":"NetB","summary":"Error(s) in loading state_dict )"
          R"(for NetB:\n\t\"quoted\"","missing_keys":["a","b"],)"
          R"("unexpected_keys":["c"],"mismatched_keys":[{"key":"m",)"
          R"("source_key":"x.m","source_shape":[3],"target_shape":[2,3]}],)"
          R"("coverage":[1,2,3,4,5,6],"entries":[{"dtype":"float32",)"
          R"("shape":[2,3],"key":"w","buffer":true,"outcome":"cast",)"
          R"("source":1,"source_key":"model.w","source_spec":{"dtype":)"
          R"("float16","shape":[3]},"rules":["--strip-prefix model."]},)"
          R"({"dtype":"float32","shape":[],"key":"v","outcome":"initialized",)"
          R"("initializer":"zeros"},{"dtype":"float32","shape":[2,3],)"
          R"("key":"u","outcome":"matched","source":0}],"source_entries":)"
          R"([[1,"model.w","used","float16",[3]],)"
          R"([0,"c","unexpected","float16",[3]],)"
          R"([0,"u","used","float32",[2,3]]],)"
          R"("rules":[{"rule":"--strip-prefix model.","keys":7}],)"
          R"("subtrees":["","model"],"notes":["a note"]})"));
  EXPECT_EQ(report, ReportOfAMatch());
}

TEST(ReportJsonTest, ASourceEntryOfNoEntryIsDataLoss) {
  const std::string json = MatchReportToJson(ReportOfAMatch());
  for (const char* entry : {"3", "-1", "1", "\"x\"", "{}"}) {
    const std::string other = absl::StrReplaceAll(
        json, {{",2],\"rules\"", absl::StrCat(",", entry, "],\"rules\"")}});
    ASSERT_NE(other, json);
    EXPECT_THAT(MatchReportFromJson(other),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("report")))
        << entry;
  }
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
