#include "server/service/lost_tensor.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "server/model/digest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using ::warmstart::testing::StatusIs;

const CheckpointName kCheckpoint =
    CheckpointName::Parse("checkpoints/00000000000000000000000000000001")
        .value();

Manifest ManifestWithSharedStorage() {
  Manifest manifest;
  manifest.entries.resize(3);
  manifest.entries[0].key = "first";
  manifest.entries[0].digest = Digest::Of("1");
  manifest.entries[1].key = "second";
  manifest.entries[1].digest = Digest::Of("2");
  manifest.entries[2].key = "view";
  manifest.entries[2].digest = Digest::Of("3");
  manifest.entries[2].view = StorageView{.storage = 0};
  manifest.storages = {{Digest::Of("shared"), 6}};
  return manifest;
}

absl::Status Lost(const Digest& digest) {
  return WithErrorInfo(absl::DataLossError("pack p is gone"), reason::kDataLoss,
                       {{"digest", digest.ToHex()}});
}

TEST(NameLostTensorTest, NamesTheKeyAndTheCheckpoint) {
  const absl::Status named = NameLostTensor(Lost(Digest::Of("2")), kCheckpoint,
                                            ManifestWithSharedStorage());
  EXPECT_THAT(named,
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(HasSubstr("'second'"), HasSubstr("pack p is gone"),
                             HasSubstr(kCheckpoint.ToString()))));
  const auto info = GetErrorInfo(named);
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->reason, reason::kDataLoss);
  EXPECT_THAT(info->metadata,
              UnorderedElementsAre(Pair("checkpoint", kCheckpoint.ToString()),
                                   Pair("digest", Digest::Of("2").ToHex()),
                                   Pair("key", "second")));
}

TEST(NameLostTensorTest, ASharedStorageIsNamedByATensorInIt) {
  EXPECT_THAT(NameLostTensor(Lost(Digest::Of("shared")), kCheckpoint,
                             ManifestWithSharedStorage()),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("'view'")));
}

TEST(NameLostTensorTest, OtherErrorsStayAsTheyAre) {
  const absl::Status errors[] = {absl::OkStatus(), absl::NotFoundError("gone"),
                                 absl::DataLossError("the catalog is corrupt"),
                                 Lost(Digest::Of("else"))};
  for (const absl::Status& error : errors) {
    EXPECT_EQ(NameLostTensor(error, kCheckpoint, ManifestWithSharedStorage()),
              error);
  }
}

}  // namespace
}  // namespace warmstart::service
