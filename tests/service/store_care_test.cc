#include "server/service/store_care.h"

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

class StoreCareTest : public ::testing::Test {
 protected:
  absl::StatusOr<store::ScrubResult> Scrub() {
    return ScrubStore(world_.context(), [](const store::ScrubProgress&) {
      return absl::OkStatus();
    });
  }

  World world_;
  const std::string file_ = MakeSafetensors({FloatTensor("w", {40'000}, 1)});
  const std::string handle_ = world_.MustSave(file_);
};

TEST_F(StoreCareTest, AFileThatIsSavedAgainBringsBackWhatAScrubFoundLost) {
  std::filesystem::remove(world_.PackPath(world_.Packs().at(0)));
  ASSERT_OK_AND_ASSIGN(const store::ScrubResult found, Scrub());
  ASSERT_THAT(found.damage.blobs, SizeIs(1));
  EXPECT_THAT(found.damage.blobs[0].uses, SizeIs(1));
  EXPECT_EQ(found.damage.blobs[0].uses[0].checkpoint.ToString(), handle_);
  EXPECT_EQ(found.damage.blobs[0].uses[0].key, "w");

  const std::string again = world_.MustSave(file_);
  EXPECT_EQ(world_.Values(handle_), world_.Values(again));
  ASSERT_OK_AND_ASSIGN(const store::ScrubResult healed, Scrub());
  EXPECT_EQ(healed.damage.num_blobs, 0);
  EXPECT_THAT(world_.Packs(), SizeIs(1));
}

TEST_F(StoreCareTest, AScrubEndsWhereItsListenerIsGone) {
  EXPECT_THAT(ScrubStore(world_.context(),
                         [](const store::ScrubProgress&) {
                           return absl::CancelledError("gone");
                         }),
              StatusIs(absl::StatusCode::kCancelled, "gone"));
}

TEST_F(StoreCareTest, ACheckFindsAPackThatIsGone) {
  ASSERT_OK_AND_ASSIGN(store::CheckResult result, CheckStore(world_.context()));
  EXPECT_EQ(result.num_checkpoints, 1);
  EXPECT_EQ(result.num_findings, 0);
  std::filesystem::remove(world_.PackPath(world_.Packs().at(0)));
  ASSERT_OK_AND_ASSIGN(result, CheckStore(world_.context()));
  EXPECT_THAT(result.findings, ElementsAre(HasSubstr("is gone")));
}

}  // namespace
}  // namespace warmstart::service
