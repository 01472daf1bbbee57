#include "client/cli/matching_flags.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <fstream>

#include "client/cli/usage_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

template <typename Message>
void ExpectMessage(const absl::StatusOr<Message>& message,
                   const std::string& expected_text) {
  ASSERT_OK(message);
  Message expected;
  ASSERT_TRUE(
      google::protobuf::TextFormat::ParseFromString(expected_text, &expected));
  EXPECT_TRUE(
      google::protobuf::util::MessageDifferencer::Equals(*message, expected))
      << message->DebugString();
}

template <typename Message>
void ExpectUsageError(const absl::StatusOr<Message>& message,
                      const std::string& text) {
  EXPECT_TRUE(IsUsageError(message.status())) << message.status();
  EXPECT_THAT(message.status().message(), HasSubstr(text));
}

TEST(MatchingFlagsTest, TemplateIsTargetThenSource) {
  ExpectMessage(ParseTemplate("h.{i}.{r*}=h.{2*i}.{r*}"),
                R"pb(template { to: "h.{i}.{r*}" from: "h.{2*i}.{r*}" })pb");
  ExpectUsageError(ParseTemplate("h.{i}"), "--template takes TO=FROM");
}

TEST(MatchingFlagsTest, RuleIsJson) {
  ExpectMessage(ParseRule(R"({"convert": {"from": ["q", "k"], "to": ["qk"],
                    "steps": [{"concat": {"dim": 0}}]}, "priority": 1})"),
                R"pb(
                  convert {
                    from: "q"
                    from: "k"
                    to: "qk"
                    steps { concat { dim: 0 } }
                  }
                  priority: 1
                )pb");
  ExpectUsageError(ParseRule("{"), "--rule: ");
  ExpectUsageError(ParseRule(R"({"renames": {}})"), "--rule: ");
}

TEST(MatchingFlagsTest, CombinationsHaveNumbers) {
  ExpectMessage(ParseCombination("overlay"), "");
  ExpectMessage(ParseCombination("average"), "weighted_average {}");
  ExpectMessage(ParseCombination("task-arithmetic"), "task_arithmetic {}");
  ExpectMessage(ParseCombination("slerp=0.25"), "slerp { t: 0.25 }");
  ExpectMessage(ParseCombination("moving-average=0.9"),
                "moving_average { decay: 0.9 }");
  ExpectUsageError(ParseCombination("mean"), "'mean' is none of overlay");
  ExpectUsageError(ParseCombination("slerp"), "'' is not a number");
}

TEST(MatchingFlagsTest, LoraHasItsAlpha) {
  ExpectMessage(ParseLora("16"), "alpha: 16");
  ExpectMessage(ParseLora("16,rslora"), "alpha: 16 rslora: true");
  ExpectUsageError(ParseLora("16,dora"), "is not ALPHA or ALPHA,rslora");
  ExpectUsageError(ParseLora("r"), "'r' is not a number");
}

TEST(MatchingFlagsTest, AdaptersAreThoseOfTheApi) {
  ExpectMessage(ParseAdapter("head.*=rows:mean"),
                R"pb(keys: "head.*"
                     rows { mean: true })pb");
  ExpectMessage(ParseAdapter("a=b=auto"), R"pb(keys: "a=b"
                                               auto {})pb");
  ExpectMessage(ParseAdapter("*=inflate:center"),
                R"pb(keys: "*"
                     inflate { center: true })pb");
  ExpectUsageError(ParseAdapter("x=row"), "'row' is none of auto, rows, ");
  ExpectUsageError(ParseAdapter("x=auto:mean"), "auto has no 'mean'");
  ExpectUsageError(ParseAdapter("rows"), "is not of the form GLOB=ADAPTER");
}

TEST(MatchingFlagsTest, InitializersHaveTheirNumber) {
  ExpectMessage(ParseInitializer("*=zeros"),
                R"pb(keys: "*"
                     initializer { zeros {} })pb");
  ExpectMessage(ParseInitializer("a=normal:0.02"),
                R"pb(keys: "a"
                     initializer { normal { std: 0.02 } })pb");
  ExpectMessage(ParseInitializer("a=uniform:0.5"),
                R"pb(keys: "a"
                     initializer { uniform { low: -0.5 high: 0.5 } })pb");
  ExpectMessage(ParseInitializer("a=constant:3"),
                R"pb(keys: "a"
                     initializer { constant { value: 3 } })pb");
  ExpectUsageError(ParseInitializer("a=xavier"), "'xavier' is none of zeros");
  ExpectUsageError(ParseInitializer("zeros"), "GLOB=INITIALIZER");
}

TEST(MatchingFlagsTest, InitializersWithArgumentsEndTheFlag) {
  ExpectMessage(ParseInitializer("(a=b)=normal(mean=1, std=0.02)"),
                R"pb(keys: "(a=b)"
                     initializer { normal { mean: 1 std: 0.02 } })pb");
  ExpectUsageError(ParseInitializer("normal(std=2)"), "GLOB=INITIALIZER");
}

TEST(MatchingFlagsTest, CoverageIsOfAGlob) {
  ExpectMessage(ParseCoverageGate("backbone.*=1.0"), R"pb(keys: "backbone.*"
                                                          min_coverage: 1)pb");
  ExpectUsageError(ParseCoverageGate("backbone.*"), "GLOB=FRACTION");
}

class RulesFileTest : public ::testing::Test {
 protected:
  absl::StatusOr<v1::WarmStartRequest> Read(const std::string& name,
                                            const std::string& text) {
    const std::string path = dir_.path() + "/" + name;
    std::ofstream(path) << text;
    v1::WarmStartRequest request;
    request.add_key_rules()->set_strip_prefix("before.");
    absl::Status status = ReadRulesFile(path, request);
    if (!status.ok()) return status;
    return request;
  }

  testing::TempDir dir_;
};

TEST_F(RulesFileTest, AListIsRules) {
  const char* const kExpected = R"pb(
    key_rules { strip_prefix: "before." }
    key_rules { strip_prefix: "module." }
    key_rules { rename { from: "a" to: "b" } }
  )pb";
  ExpectMessage(Read("rules.json", R"([{"stripPrefix": "module."},
                                       {"rename": {"from": "a", "to": "b"}}])"),
                kExpected);
  ExpectMessage(Read("rules.yaml",
                     "- strip_prefix: module.\n- rename: {from: a, to: b}\n"),
                kExpected);
}

TEST_F(RulesFileTest, AnObjectHasMoreThanRules) {
  ExpectMessage(Read("rules.yml", R"(
key_matching: KEY_MATCHING_AUTO
on_shape_mismatch: SHAPE_MISMATCH_POLICY_ADAPT
shape_adapters:
  - keys: "head.*"
    rows: {source_labels: [cat, dog], target_labels: [dog]}
widenings:
  - outputs: [{key: fc1.weight, dim: 0}]
    inputs: [{key: fc2.weight, dim: 1}]
)"),
                R"pb(
                  key_rules { strip_prefix: "before." }
                  key_matching: KEY_MATCHING_AUTO
                  on_shape_mismatch: SHAPE_MISMATCH_POLICY_ADAPT
                  shape_adapters {
                    keys: "head.*"
                    rows {
                      source_labels: "cat"
                      source_labels: "dog"
                      target_labels: "dog"
                    }
                  }
                  widenings {
                    outputs { key: "fc1.weight" dim: 0 }
                    inputs { key: "fc2.weight" dim: 1 }
                  }
                )pb");
}

TEST_F(RulesFileTest, WhatIsNoRuleHasNoPlaceInIt) {
  EXPECT_THAT(Read("rules.json", R"({"architecture": "NetB"})"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("architecture has no place in a rules file")));
}

TEST_F(RulesFileTest, ErrorsNameTheFile) {
  EXPECT_THAT(
      Read("bad.json", "[{]"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bad.json: ")));
  v1::WarmStartRequest request;
  EXPECT_THAT(ReadRulesFile(dir_.path() + "/none.json", request),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none.json")));
}

}  // namespace
}  // namespace warmstart::client
