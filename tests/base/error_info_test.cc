#include "server/base/error_info.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::warmstart::testing::StatusIs;

TEST(ErrorInfoTest, ReasonAndMetadataComeBack) {
  const absl::Status status =
      WithErrorInfo(absl::NotFoundError("gone"), reason::kCheckpointNotFound,
                    {{"checkpoint", "checkpoints/a"}, {"empty", ""}});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound, "gone"));
  const auto info = GetErrorInfo(status);
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->reason, "CHECKPOINT_NOT_FOUND");
  EXPECT_THAT(info->metadata, ElementsAre(Pair("checkpoint", "checkpoints/a"),
                                          Pair("empty", "")));
}

TEST(ErrorInfoTest, TheFirstInformationStays) {
  absl::Status status =
      WithErrorInfo(absl::NotFoundError("gone"), reason::kAliasNotFound);
  status = WithErrorInfo(status, reason::kDataLoss, {{"a", "b"}});
  EXPECT_EQ(GetErrorInfo(status)->reason, "ALIAS_NOT_FOUND");
  EXPECT_THAT(GetErrorInfo(status)->metadata, IsEmpty());
}

TEST(ErrorInfoTest, OkAndPlainErrorsHaveNone) {
  EXPECT_EQ(GetErrorInfo(absl::OkStatus()), std::nullopt);
  EXPECT_EQ(GetErrorInfo(absl::InternalError("x")), std::nullopt);
  EXPECT_TRUE(WithErrorInfo(absl::OkStatus(), reason::kDataLoss).ok());
}

TEST(ErrorInfoTest, MetadataIsCutAtTheFirstNul) {
  const absl::Status status =
      WithErrorInfo(absl::InternalError("x"), reason::kInvalidFile,
                    {{"key", std::string("a\0b", 3)}, {"z", "1"}});
  EXPECT_THAT(GetErrorInfo(status)->metadata,
              ElementsAre(Pair("key", "a"), Pair("z", "1")));
}

TEST(ErrorInfoTest, InvalidFieldNamesTheField) {
  const absl::Status status =
      InvalidField("sources[0].subtree", "is not there");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               "sources[0].subtree: is not there"));
  EXPECT_EQ(GetErrorInfo(status)->reason, "INVALID_FIELD");
  EXPECT_THAT(GetErrorInfo(status)->metadata,
              ElementsAre(Pair("field", "sources[0].subtree")));
}

}  // namespace
}  // namespace warmstart
