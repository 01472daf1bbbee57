#include "server/service/delta/missing_tensors.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

TEST(FindMissingTensorsTest, ThoseThatAreStoredAreNotMissing) {
  World world;
  const Tensor tensor = FloatTensor("w", {30});
  world.MustSave(MakeSafetensors({tensor}));
  const Digest stored = Digest::Of(tensor.bytes);
  const Digest absent = Digest::Of("absent");
  const Digest other = Digest::Of("other");
  ASSERT_OK_AND_ASSIGN(
      const std::vector<Digest> missing,
      FindMissingTensors(world.store(), {absent, stored, other, absent}));
  EXPECT_THAT(missing, ElementsAre(absent, other));
}

TEST(FindMissingTensorsTest, WhatWasDeletedIsMissing) {
  World world;
  const Tensor tensor = FloatTensor("w", {30});
  const std::string handle = world.MustSave(MakeSafetensors({tensor}));
  const Digest digest = Digest::Of(tensor.bytes);
  ASSERT_OK(world.store().DeleteCheckpoint(
      CheckpointName::Parse(handle).value(), false));
  ASSERT_OK_AND_ASSIGN(const std::vector<Digest> missing,
                       FindMissingTensors(world.store(), {digest}));
  EXPECT_THAT(missing, ElementsAre(digest));
}

TEST(FindMissingTensorsTest, NoBytesAreNeverMissing) {
  World world;
  ASSERT_OK_AND_ASSIGN(const std::vector<Digest> missing,
                       FindMissingTensors(world.store(), {Digest::Of("")}));
  EXPECT_THAT(missing, IsEmpty());
}

TEST(ParseDigestsTest, AMistakeIsNamed) {
  const std::string good = Digest::Of("").ToHex();
  ASSERT_OK_AND_ASSIGN(const std::vector<Digest> digests,
                       ParseDigests({good, good}));
  EXPECT_THAT(digests, ElementsAre(Digest::Of(""), Digest::Of("")));
  EXPECT_EQ(FieldOf(ParseDigests({good, "12"}).status()), "digests[1]");
}

TEST(ParseDigestsTest, ThereIsALimit) {
  const std::string good = Digest::Of("").ToHex();
  EXPECT_OK(ParseDigests(std::vector<std::string>(10000, good)));
  const absl::Status status =
      ParseDigests(std::vector<std::string>(10001, good)).status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(FieldOf(status), "digests");
}

}  // namespace
}  // namespace warmstart::service
