#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/digest.h"
#include "server/torch/model_architecture.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/expectations.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

using ::warmstart::testing::StatusIs;

std::unique_ptr<ModelArchitecture> Everything() {
  return MakeSchemaArchitecture(testing::SchemaFromExpectations());
}

Architecture TwoWeights() {
  Architecture schema;
  schema.name = "Two";
  for (const char* key : {"a.weight", "b.weight"}) {
    schema.entries.push_back({key, testing::Spec(DType::kFloat32, {40}),
                              EntryKind::kParameter, NormalInit{}});
  }
  return schema;
}

TEST(SchemaArchitectureTest, FreshValuesEqualTorchsBitForBit) {
  const std::unique_ptr<ModelArchitecture> everything = Everything();
  for (const auto& json : testing::Expectations()["schemas"]["fresh"]) {
    const uint64_t seed = json["seed"];
    ASSERT_OK_AND_ASSIGN(const std::vector<OwnedTensor> state,
                         testing::FreshState(*everything, Device{}, seed));
    ASSERT_EQ(state.size(), json["sha256"].size());
    for (size_t i = 0; i < state.size(); ++i) {
      EXPECT_EQ(Digest::Of(state[i].bytes).ToHex(),
                json["sha256"][i].get<std::string>())
          << "seed " << seed << ", "
          << testing::Expectations()["schemas"]["entries"][i];
    }
  }
}

TEST(SchemaArchitectureTest, FreshValuesDoNotDependOnWhatElseIsMissing) {
  const std::unique_ptr<ModelArchitecture> everything = Everything();
  ASSERT_OK_AND_ASSIGN(const std::vector<OwnedTensor> state,
                       testing::FreshState(*everything, Device{}, 7));
  for (size_t i = 0; i < state.size(); ++i) {
    ASSERT_OK_AND_ASSIGN(const OwnedTensor alone,
                         testing::FreshEntry(*everything, Device{}, 7, i));
    ASSERT_EQ(alone.bytes, state[i].bytes)
        << everything->schema().entries[i].key;
  }
}

TEST(SchemaArchitectureTest, KeysAndSeedsHaveValuesOfTheirOwn) {
  const auto two = MakeSchemaArchitecture(TwoWeights());
  ASSERT_OK_AND_ASSIGN(const auto state,
                       testing::FreshState(*two, Device{}, 1));
  ASSERT_OK_AND_ASSIGN(const auto other,
                       testing::FreshState(*two, Device{}, 2));
  EXPECT_NE(state[0].bytes, state[1].bytes);
  EXPECT_NE(state[0].bytes, other[0].bytes);
}

TEST(SchemaArchitectureTest, RequestsAtTheSameTimeDoNotDisturbEachOther) {
  const auto two = MakeSchemaArchitecture(TwoWeights());
  ASSERT_OK_AND_ASSIGN(const auto expected,
                       testing::FreshState(*two, Device{}, 1));
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const auto state = testing::FreshState(*two, Device{}, 1);
        ASSERT_OK(state);
        ASSERT_EQ((*state)[1].bytes, expected[1].bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(SchemaArchitectureTest, ItsSchemaIsTheOneThatWasGiven) {
  EXPECT_EQ(MakeSchemaArchitecture(TwoWeights())->schema(), TwoWeights());
}

TEST(SchemaArchitectureTest, ForwardIsRefused) {
  const auto two = MakeSchemaArchitecture(TwoWeights());
  EXPECT_FALSE(two->has_forward());
  EXPECT_THAT(testing::Run(*two, Device{}, {}, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "Two is known by its schema alone and has no forward; "
                       "register it by its module"));
}

}  // namespace
}  // namespace warmstart::backend
