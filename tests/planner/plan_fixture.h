// PlanTest: a request with a small target, and sources that a test adds.

#ifndef WARMSTART_TESTS_PLANNER_PLAN_FIXTURE_H_
#define WARMSTART_TESTS_PLANNER_PLAN_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/planner/plan.h"
#include "tests/planner/builders.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::planner {

class PlanTest : public ::testing::Test {
 protected:
  PlanTest() {
    SetTarget({{"fc1.weight", {4, 3}}, {"fc1.bias", {4}}, {"fc2.bias", {2}}});
  }

  void SetTarget(const std::vector<Tensor>& tensors) {
    target_ = MakeArchitecture("NetB", tensors);
    request_.target = &target_;
  }

  // Returns it, for what is special about it.
  PlanSource& AddSource(const std::vector<Tensor>& tensors) {
    manifests_.push_back(std::make_unique<Manifest>(MakeManifest(tensors)));
    PlanSource source;
    source.manifest = manifests_.back().get();
    source.name = absl::StrCat("checkpoints/c", manifests_.size());
    request_.sources.push_back(std::move(source));
    return request_.sources.back();
  }

  Plan MakePlanOrDie() {
    absl::StatusOr<Plan> plan = MakePlan(request_);
    EXPECT_THAT(plan, testing::IsOk());
    return plan.ok() ? *std::move(plan) : Plan();
  }

  // What the plan says of a key of the target.
  static const TargetReport& Of(const Plan& plan, absl::string_view key) {
    for (const TargetReport& entry : plan.report.entries) {
      if (entry.key == key) return entry;
    }
    ADD_FAILURE() << "no key " << key;
    static const TargetReport kNone;
    return kNone;
  }

  static std::vector<SourceOutcome> SourceOutcomes(const Plan& plan) {
    std::vector<SourceOutcome> outcomes;
    for (const SourceReport& entry : plan.report.source_entries) {
      outcomes.push_back(entry.outcome);
    }
    return outcomes;
  }

  Architecture target_;
  std::vector<std::unique_ptr<Manifest>> manifests_;
  PlanRequest request_;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_TESTS_PLANNER_PLAN_FIXTURE_H_
