#include "server/service/download_tensors.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::warmstart::testing::StatusIs;

using Received = std::vector<std::pair<Digest, std::string>>;

class DownloadTensorsTest : public ::testing::Test {
 protected:
  absl::Status Download(const std::string& handle,
                        const std::vector<Digest>& digests) {
    return DownloadTensors(
        world_.store(), handle, digests,
        [this](const Digest& digest, absl::string_view bytes) {
          received_.emplace_back(digest, std::string(bytes));
          return absl::OkStatus();
        });
  }

  World world_;
  const Tensor a_ = FloatTensor("a", {30});
  const Tensor b_ = FloatTensor("b", {0});
  const std::string handle_ = world_.MustSave(MakeSafetensors({a_, b_}));
  Received received_;
};

TEST_F(DownloadTensorsTest, TensorsComeInTheOrderAskedFor) {
  const Digest a = Digest::Of(a_.bytes);
  const Digest b = Digest::Of(b_.bytes);
  ASSERT_OK(Download(handle_, {b, a, a}));
  EXPECT_THAT(received_,
              ElementsAre(Pair(b, ""), Pair(a, a_.bytes), Pair(a, a_.bytes)));
}

TEST_F(DownloadTensorsTest, StoragesComeAsAWhole) {
  const std::string storage = BytesOf<float>({1, 2, 3, 4});
  const Manifest manifest = [&] {
    Manifest made;
    made.storages = {{Digest::Of(storage), 16}};
    for (const int64_t offset : {0, 2}) {
      ManifestEntry entry;
      entry.key = offset == 0 ? "x" : "y";
      entry.spec =
          TensorSpec::Create(DType::kFloat32, Shape::Create({2}).value())
              .value();
      entry.digest = Digest::Of(storage.substr(offset * 4, 8));
      entry.view = StorageView{0, offset, {1}};
      made.entries.push_back(entry);
    }
    return made;
  }();
  world_.MustSave(MakeSafetensors({{"s", DType::kFloat32, {4}, storage}}));
  ASSERT_OK_AND_ASSIGN(const auto save, SaveModel::Begin(world_.context(), {}));
  ASSERT_OK(save->AddManifest(manifest));
  ASSERT_OK_AND_ASSIGN(const SaveModelResult result, save->Finish());
  const Digest digest = Digest::Of(storage);
  ASSERT_OK(Download(result.checkpoint.name.ToString(), {digest}));
  EXPECT_THAT(received_, ElementsAre(Pair(digest, storage)));
}

TEST_F(DownloadTensorsTest, OnlyThoseOfTheCheckpointAreGiven) {
  const Tensor other = FloatTensor("other", {5});
  world_.MustSave(MakeSafetensors({other}));
  const absl::Status status =
      Download(handle_, {Digest::Of(a_.bytes), Digest::Of(other.bytes)});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound,
                               HasSubstr(Digest::Of(other.bytes).ToHex())));
  EXPECT_EQ(ReasonOf(status), reason::kTensorNotFound);
  EXPECT_THAT(received_, IsEmpty());
}

TEST_F(DownloadTensorsTest, NoSuchCheckpointIsNotFound) {
  const absl::Status status = Download("checkpoints/nowhere", {});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(ReasonOf(status), reason::kCheckpointNotFound);
}

TEST_F(DownloadTensorsTest, AFailureOfTheSinkEndsIt) {
  int calls = 0;
  EXPECT_THAT(DownloadTensors(world_.store(), handle_,
                              {Digest::Of(a_.bytes), Digest::Of(b_.bytes)},
                              [&calls](const Digest&, absl::string_view) {
                                ++calls;
                                return absl::CancelledError("enough");
                              }),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace warmstart::service
