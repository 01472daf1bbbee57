#include "server/service/stored_result.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/service/origin.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

const Digest kFingerprint = Digest::Of("the request");

// A checkpoint that the request "id" made.
store::Checkpoint Store(World& world, const std::string& report_json,
                        const Origin& origin) {
  const std::unique_ptr<store::Draft> draft = world.store().NewDraft();
  store::NewCheckpoint checkpoint;
  checkpoint.report_json = report_json;
  checkpoint.origin_json = OriginToJson(origin);
  checkpoint.request_id = "id";
  checkpoint.request_fingerprint = kFingerprint;
  return draft->Commit(checkpoint).value();
}

TEST(FindEarlierTest, WithoutAnIdThereIsNone) {
  World world;
  Store(world, "", UploadOrigin{});
  ASSERT_OK_AND_ASSIGN(const auto earlier,
                       FindEarlier(world.store(), "", kFingerprint));
  EXPECT_FALSE(earlier.has_value());
}

TEST(FindEarlierTest, ANewIdHasNone) {
  World world;
  Store(world, "", UploadOrigin{});
  ASSERT_OK_AND_ASSIGN(const auto earlier,
                       FindEarlier(world.store(), "other", kFingerprint));
  EXPECT_FALSE(earlier.has_value());
}

TEST(FindEarlierTest, TheCheckpointOfTheSameRequestIsFound) {
  World world;
  const store::Checkpoint made = Store(world, "", UploadOrigin{});
  ASSERT_OK_AND_ASSIGN(const auto earlier,
                       FindEarlier(world.store(), "id", kFingerprint));
  ASSERT_TRUE(earlier.has_value());
  EXPECT_EQ(earlier->name, made.name);
}

TEST(FindEarlierTest, AnotherRequestWithTheSameIdIsRefused) {
  World world;
  Store(world, "", UploadOrigin{});
  const auto earlier =
      FindEarlier(world.store(), "id", Digest::Of("another request"));
  EXPECT_THAT(earlier,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'id'")));
  EXPECT_EQ(ReasonOf(earlier.status()), "REQUEST_ID_REUSED");
}

TEST(FindEarlierTest, ADeletedCheckpointIsForgotten) {
  World world;
  const store::Checkpoint made = Store(world, "", UploadOrigin{});
  ASSERT_OK(world.store().DeleteCheckpoint(made.name, false));
  ASSERT_OK_AND_ASSIGN(const auto earlier,
                       FindEarlier(world.store(), "id", kFingerprint));
  EXPECT_FALSE(earlier.has_value());
}

TEST(StoredSaveResultTest, TheReportAndWhatWasSkippedComeBack) {
  World world;
  MatchReport report;
  report.architecture = "NetA";
  report.summary = "<All keys matched successfully>";
  UploadOrigin origin;
  origin.skipped = {{"opt", "object of class foo.Bar"}};
  ASSERT_OK_AND_ASSIGN(
      const SaveModelResult result,
      StoredSaveResult(Store(world, MatchReportToJson(report), origin)));
  ASSERT_TRUE(result.report.has_value());
  EXPECT_EQ(result.report->summary, report.summary);
  ASSERT_THAT(result.skipped, SizeIs(1));
  EXPECT_EQ(result.skipped[0].path, "opt");
}

TEST(StoredSaveResultTest, AFreshModelHasNeither) {
  World world;
  ASSERT_OK_AND_ASSIGN(
      const SaveModelResult result,
      StoredSaveResult(Store(world, "", InitializationOrigin{7, "cpu"})));
  EXPECT_FALSE(result.report.has_value());
  EXPECT_THAT(result.skipped, IsEmpty());
}

TEST(StoredSaveResultTest, TextThatIsDamagedIsDataLoss) {
  store::Checkpoint checkpoint;
  checkpoint.origin_json = OriginToJson(UploadOrigin{});
  checkpoint.report_json = "{";
  EXPECT_THAT(StoredSaveResult(checkpoint),
              StatusIs(absl::StatusCode::kDataLoss));
  checkpoint.report_json = "";
  checkpoint.origin_json = "{";
  EXPECT_THAT(StoredSaveResult(checkpoint),
              StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace warmstart::service
