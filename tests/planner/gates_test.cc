#include "server/planner/gates.h"

#include "gmock/gmock.h"
#include "server/base/error_info.h"
#include "tests/planner/plan_fixture.h"

namespace warmstart::planner {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::StatusIs;

constexpr auto kFailed = absl::StatusCode::kFailedPrecondition;

class GatesTest : public PlanTest {
 protected:
  GatesTest() { AddSource({{"fc1.bias", {4}}, {"old.head", {1}}}); }
};

TEST_F(GatesTest, CoverageIsAskedForByGlob) {
  request_.coverage_gates = {{"*.bias", 0.6}, {"fc1.bias", 1}};
  EXPECT_THAT(MakePlanOrDie().verdict, IsOk());  // 4 of 6, and all
  request_.coverage_gates[0].min_coverage = 0.7;
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.verdict,
              StatusIs(kFailed, AllOf(HasSubstr("'*.bias'"),
                                      HasSubstr("4 of 6 parameters"))));
  const auto info = GetErrorInfo(plan.verdict);
  EXPECT_EQ(info->reason, "COVERAGE_NOT_MET");
  EXPECT_EQ(info->metadata.at("keys"), "*.bias");
}

TEST_F(GatesTest, EveryGateThatIsNotMetIsNamed) {
  request_.strict = true;
  request_.min_coverage = 1;
  request_.coverage_gates = {{"fc2.*", 1}, {"fc1.bias", 1}, {"fc7.*", 0}};
  EXPECT_THAT(
      MakePlanOrDie().verdict,
      StatusIs(kFailed, AllOf(HasSubstr("Missing key(s)"),
                              HasSubstr("coverage: 4 of 18 parameters"),
                              HasSubstr("'fc2.*': 0 of 2"),
                              HasSubstr("'fc7.*': the target has no such"),
                              Not(HasSubstr("'fc1.bias': ")))));
}

TEST_F(GatesTest, WhatIsExpectedIsNotListed) {
  request_.strict = true;
  request_.expected_missing = {R"(fc2\.)", "^fc1.weight$"};
  request_.expected_unexpected = {"head"};
  const Plan plan = MakePlanOrDie();
  EXPECT_THAT(plan.verdict, IsOk());
  EXPECT_THAT(plan.report.missing_keys, IsEmpty());
  EXPECT_THAT(plan.report.unexpected_keys, IsEmpty());
  EXPECT_EQ(plan.report.summary, "<All keys matched successfully>");
  EXPECT_THAT(plan.report.notes,
              AllOf(Contains(HasSubstr("2 keys are missing")),
                    Contains(HasSubstr("1 keys are unexp"))));
  EXPECT_EQ(plan.report.source_entries[1].outcome, SourceOutcome::kUnexpected);
}

TEST_F(GatesTest, OtherKeysStayListed) {
  request_.expected_missing = {"weight"};
  EXPECT_THAT(MakePlanOrDie().report.missing_keys, ElementsAre("fc2.bias"));
}

TEST_F(GatesTest, GatesThatCannotBeUsedAreRefused) {
  const auto refuses = [&](const char* field) {
    EXPECT_THAT(MakePlan(request_),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(field)));
  };
  request_.coverage_gates = {{"*", 1.5}};
  refuses("coverage_gates[0].min_coverage");
  request_.coverage_gates = {};
  request_.expected_missing = {"a", "("};
  refuses("expected_missing[1]");
  request_.expected_missing = {};
  request_.expected_unexpected = {""};
  refuses("expected_unexpected[0]");
}

}  // namespace
}  // namespace warmstart::planner
