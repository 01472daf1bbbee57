#include "server/service/save_model.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/service/origin.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::FaultyFileSystem;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

SaveModelRequest FreshRequest(const std::string& architecture = "NetA",
                              std::optional<uint64_t> seed = 7) {
  SaveModelRequest request;
  request.architecture = architecture;
  request.seed = seed;
  return request;
}

std::string SmallFile(int seed = 0) {
  return MakeSafetensors({FloatTensor("w", {30}, seed)});
}

TEST(SaveModelTest, AnUploadIsStoredWithWhatItHolds) {
  for (const bool torch : {false, true}) {
    World world;
    const std::vector<Tensor> tensors = RecipeTensors();
    SaveModelRequest request;
    request.options.labels = {{"team", "vision"}};
    request.options.alias = "resnet/prod";
    const std::string file =
        torch ? MakeTorchFile(tensors) : MakeSafetensors(tensors);
    ASSERT_OK_AND_ASSIGN(const SaveModelResult result,
                         world.Save({{"net.pt", file}}, request));
    EXPECT_EQ(result.report, std::nullopt);
    EXPECT_THAT(result.skipped, IsEmpty());
    EXPECT_FALSE(result.checkpoint.architecture.has_value());
    EXPECT_EQ(result.checkpoint.labels, request.options.labels);
    EXPECT_EQ(result.checkpoint.num_tensors, tensors.size());
    const auto values = world.Values("aliases/resnet/prod");
    ASSERT_THAT(values, SizeIs(tensors.size()));
    for (const Tensor& tensor : tensors) {
      EXPECT_EQ(values.at(tensor.key), tensor.bytes) << tensor.key;
    }
    ASSERT_OK_AND_ASSIGN(const Origin origin,
                         OriginFromJson(result.checkpoint.origin_json));
    ASSERT_TRUE(std::holds_alternative<UploadOrigin>(origin));
    EXPECT_THAT(std::get<UploadOrigin>(origin).files, ElementsAre("net.pt"));
    EXPECT_EQ(std::get<UploadOrigin>(origin).format,
              torch ? "torch-zip" : "safetensors");
    EXPECT_THAT(world.Staged(), IsEmpty());
  }
}

TEST(SaveModelTest, WithAnArchitectureTheUploadIsMatchedAndStoredAsItIs) {
  World world;
  std::vector<Tensor> tensors = RecipeTensors();
  tensors.pop_back();  // fc3.bias
  tensors.push_back(FloatTensor("extra", {2}));
  ASSERT_OK_AND_ASSIGN(const SaveModelResult result,
                       world.Save({{"a.safetensors", MakeSafetensors(tensors)}},
                                  FreshRequest("architectures/NetA")));
  EXPECT_EQ(result.checkpoint.architecture->ToString(), "architectures/NetA");
  ASSERT_TRUE(result.report.has_value());
  EXPECT_THAT(result.report->missing_keys, ElementsAre("fc3.bias"));
  EXPECT_THAT(result.report->unexpected_keys, ElementsAre("extra"));
  EXPECT_EQ(result.report->architecture, "NetA");
  EXPECT_EQ(world.Values(result.checkpoint.name.ToString()).count("extra"), 1);
}

TEST(SaveModelTest, AShardedSetIsOneCheckpoint) {
  World world;
  const std::string index =
      R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})";
  ASSERT_OK_AND_ASSIGN(
      const SaveModelResult result,
      world.Save(
          {{"m.safetensors.index.json", index},
           {"m-1.safetensors", MakeSafetensors({FloatTensor("a", {4})})},
           {"m-2.safetensors", MakeSafetensors({FloatTensor("b", {5})})}}));
  const auto values = world.Values(result.checkpoint.name.ToString());
  EXPECT_EQ(values.at("a"), FloatTensor("a", {4}).bytes);
  EXPECT_EQ(values.at("b"), FloatTensor("b", {5}).bytes);
}

TEST(SaveModelTest, TheSameFileAgainStoresNoBytes) {
  World world;
  const std::string file = MakeSafetensors(RecipeTensors());
  const std::string first = world.MustSave(file);
  const int64_t blobs = world.num_blobs();
  const std::string second = world.MustSave(file);
  EXPECT_NE(first, second);
  EXPECT_EQ(world.num_blobs(), blobs);
}

TEST(SaveModelTest, AHeaderAloneMakesAFreshModelOfTheSeed) {
  World world;
  ASSERT_OK_AND_ASSIGN(const SaveModelResult a, world.Save({}, FreshRequest()));
  ASSERT_OK_AND_ASSIGN(const SaveModelResult b, world.Save({}, FreshRequest()));
  EXPECT_EQ(world.ManifestOf(a.checkpoint.name.ToString()),
            world.ManifestOf(b.checkpoint.name.ToString()));
  EXPECT_EQ(a.report, std::nullopt);
  ASSERT_OK_AND_ASSIGN(const Origin origin,
                       OriginFromJson(a.checkpoint.origin_json));
  ASSERT_TRUE(std::holds_alternative<InitializationOrigin>(origin));
  EXPECT_EQ(std::get<InitializationOrigin>(origin).seed, 7);
  EXPECT_EQ(std::get<InitializationOrigin>(origin).device, "cpu");
}

TEST(SaveModelTest, ASeedThatWasDrawnMakesTheSameModelAgain) {
  World world;
  ASSERT_OK_AND_ASSIGN(const SaveModelResult drawn,
                       world.Save({}, FreshRequest("NetA", std::nullopt)));
  ASSERT_OK_AND_ASSIGN(const Origin origin,
                       OriginFromJson(drawn.checkpoint.origin_json));
  const uint64_t seed = std::get<InitializationOrigin>(origin).seed;
  ASSERT_OK_AND_ASSIGN(const SaveModelResult again,
                       world.Save({}, FreshRequest("NetA", seed)));
  EXPECT_EQ(world.ManifestOf(drawn.checkpoint.name.ToString()),
            world.ManifestOf(again.checkpoint.name.ToString()));
}

TEST(SaveModelTest, NeitherFilesNorArchitectureIsRefused) {
  World world;
  const auto result = world.Save({});
  EXPECT_THAT(result, StatusIs(kInvalid, HasSubstr("architecture: ")));
  EXPECT_EQ(FieldOf(result.status()), "architecture");
}

TEST(SaveModelTest, TheHeaderIsCheckedBeforeAnyByteIsSent) {
  World world;
  struct Case {
    std::string name;
    SaveModelRequest request;
    absl::StatusCode code;
    std::string reason;
  };
  std::vector<Case> cases;
  cases.push_back({"unknown architecture", FreshRequest("NetC"),
                   absl::StatusCode::kNotFound, "ARCHITECTURE_NOT_FOUND"});
  cases.push_back(
      {"bad architecture", FreshRequest("a b"), kInvalid, "INVALID_FIELD"});
  cases.push_back({"bad alias", {}, kInvalid, "INVALID_FIELD"});
  cases.back().request.options.alias = "aliases//";
  cases.push_back({"bad label", {}, kInvalid, "INVALID_FIELD"});
  cases.back().request.options.labels = {{"a b", ""}};
  cases.push_back({"bad request_id", {}, kInvalid, "INVALID_FIELD"});
  cases.back().request.options.request_id = "\n";
  for (const Case& c : cases) {
    const auto save = SaveModel::Begin(world.context(), c.request);
    EXPECT_THAT(save, StatusIs(c.code)) << c.name;
    EXPECT_EQ(ReasonOf(save.status()), c.reason) << c.name;
  }
}

TEST(SaveModelTest, AFreshModelOnADeviceThatIsNotThereIsRefused) {
  World world;
  SaveModelRequest request = FreshRequest();
  request.device = "cuda:63";
  const auto result = world.Save({}, request);
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(ReasonOf(result.status()), "DEVICE_UNAVAILABLE");
  EXPECT_EQ(world.num_checkpoints(), 0);
}

// A save in progress, for what a client may do wrong.
class SaveModelStreamTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(save_, SaveModel::Begin(world_.context(), {}));
  }
  void TearDown() override {
    save_.reset();
    EXPECT_THAT(world_.Staged(), IsEmpty());
    EXPECT_THAT(world_.Packs(), IsEmpty());
    EXPECT_EQ(world_.num_blobs(), 1);  // the empty one
    EXPECT_EQ(world_.num_checkpoints(), 0);
  }

  World world_;
  std::unique_ptr<SaveModel> save_;
};

TEST_F(SaveModelStreamTest, ASaveThatIsDroppedLeavesNothing) {
  ASSERT_OK(save_->BeginFile("a", std::nullopt));
  ASSERT_OK(save_->Append(SmallFile()));
}

TEST_F(SaveModelStreamTest, AChunkBeforeAnyFileIsRefused) {
  const absl::Status status = save_->Append("x");
  EXPECT_THAT(status, StatusIs(kInvalid, HasSubstr("before any file")));
  EXPECT_EQ(FieldOf(status), "chunk");
}

TEST_F(SaveModelStreamTest, MoreThanWasAnnouncedIsRefused) {
  ASSERT_OK(save_->BeginFile("a.pt", 3));
  ASSERT_OK(save_->Append("ab"));
  ASSERT_OK(save_->Append("c"));
  EXPECT_THAT(save_->Append("d"),
              StatusIs(kInvalid, AllOf(HasSubstr("'a.pt'"), HasSubstr("3"))));
}

TEST_F(SaveModelStreamTest, LessThanWasAnnouncedIsRefusedAtTheNextFile) {
  ASSERT_OK(save_->BeginFile("a.pt", 3));
  ASSERT_OK(save_->Append("ab"));
  EXPECT_THAT(save_->BeginFile("b.pt", std::nullopt),
              StatusIs(kInvalid, HasSubstr("after 2 of the 3 bytes")));
}

TEST_F(SaveModelStreamTest, LessThanWasAnnouncedIsRefusedAtTheEnd) {
  ASSERT_OK(save_->BeginFile("a.pt", 3));
  EXPECT_THAT(save_->Finish(),
              StatusIs(kInvalid, HasSubstr("after 0 of the 3 bytes")));
}

TEST_F(SaveModelStreamTest, NegativeSizesAndLongNamesAreRefused) {
  EXPECT_EQ(FieldOf(save_->BeginFile("a", -1)), "file.size");
  EXPECT_EQ(FieldOf(save_->BeginFile(std::string(1025, 'n'), 1)), "file.name");
}

TEST_F(SaveModelStreamTest, AFileTooManyIsRefused) {
  // As many as a process may have open, and no more than are allowed.
  absl::Status status;
  int files = 0;
  while (status.ok() && files <= 4096) {
    status = save_->BeginFile("a", 0);
    if (status.ok()) ++files;
  }
  EXPECT_FALSE(status.ok());
  EXPECT_LE(files, 4096);
}

TEST_F(SaveModelStreamTest, AnEmptyFileIsRefusedByName) {
  ASSERT_OK(save_->BeginFile("nothing.pt", 0));
  const auto result = save_->Finish();
  EXPECT_THAT(result, StatusIs(kInvalid, HasSubstr("nothing.pt")));
  EXPECT_EQ(ReasonOf(result.status()), "INVALID_FILE");
}

TEST_F(SaveModelStreamTest, AFileOfNoKnownFormatIsRefused) {
  ASSERT_OK(save_->BeginFile("notes.txt", std::nullopt));
  ASSERT_OK(save_->Append("Dear diary"));
  const auto result = save_->Finish();
  EXPECT_THAT(result, StatusIs(kInvalid, HasSubstr("notes.txt")));
  EXPECT_EQ(ReasonOf(result.status()), "INVALID_FILE");
}

TEST_F(SaveModelStreamTest, AFlippedBitIsFoundByTheChecksum) {
  std::string file = MakeTorchFile({FloatTensor("w", {4000})});
  file[file.size() / 2] ^= 1;  // among the values
  ASSERT_OK(save_->BeginFile("w.pt", file.size()));
  ASSERT_OK(save_->Append(file));
  EXPECT_THAT(save_->Finish(),
              StatusIs(kInvalid, AllOf(HasSubstr("'w'"), HasSubstr("CRC-32"))));
}

TEST(SaveModelRetryTest, ARetryGetsTheFirstCheckpointAndSendsNothing) {
  World world;
  SaveModelRequest request;
  request.architecture = "NetA";
  request.options.request_id = "id-1";
  ASSERT_OK_AND_ASSIGN(
      const SaveModelResult first,
      world.Save({{"a", MakeSafetensors(RecipeTensors())}}, request));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<SaveModel> retry,
                       SaveModel::Begin(world.context(), request));
  ASSERT_TRUE(retry->earlier().has_value());
  EXPECT_EQ(retry->earlier()->checkpoint.name, first.checkpoint.name);
  ASSERT_TRUE(retry->earlier()->report.has_value());
  EXPECT_EQ(retry->earlier()->report->summary, first.report->summary);
  // Who sends it all the same does no harm.
  EXPECT_OK(retry->BeginFile("a", 1));
  EXPECT_OK(retry->Append("xyz"));
  ASSERT_OK_AND_ASSIGN(const SaveModelResult second, retry->Finish());
  EXPECT_EQ(second.checkpoint.name, first.checkpoint.name);
  EXPECT_EQ(world.num_checkpoints(), 1);
  EXPECT_THAT(world.Staged(), IsEmpty());
}

TEST(SaveModelRetryTest, ARetryIsKnownAfterARestart) {
  World world;
  SaveModelRequest request = FreshRequest("NetA", std::nullopt);
  request.options.request_id = "id-1";
  ASSERT_OK_AND_ASSIGN(const SaveModelResult first, world.Save({}, request));
  world.Restart();
  ASSERT_OK_AND_ASSIGN(const SaveModelResult second, world.Save({}, request));
  EXPECT_EQ(second.checkpoint.name, first.checkpoint.name);
}

TEST(SaveModelRetryTest, AnIdUsedForAnotherRequestIsRefused) {
  World world;
  SaveModelRequest request = FreshRequest();
  request.options.request_id = "id-1";
  request.options.labels = {{"a", "b"}};
  ASSERT_OK(world.Save({}, request));
  std::vector<SaveModelRequest> others(5, request);
  others[0].architecture = "NetB";
  others[1].seed = 8;
  others[2].device = "cpu";
  others[3].options.labels = {{"a", "c"}};
  others[4].options.alias = "x";
  for (const SaveModelRequest& other : others) {
    const auto result = world.Save({}, other);
    EXPECT_THAT(result, StatusIs(kInvalid, HasSubstr("id-1")));
    EXPECT_EQ(ReasonOf(result.status()), "REQUEST_ID_REUSED");
  }
  EXPECT_EQ(world.num_checkpoints(), 1);
}

TEST(SaveModelRetryTest, TheIdOfADeletedCheckpointIsFree) {
  World world;
  SaveModelRequest request = FreshRequest();
  request.options.request_id = "id-1";
  ASSERT_OK_AND_ASSIGN(const SaveModelResult first, world.Save({}, request));
  ASSERT_OK(world.store().DeleteCheckpoint(first.checkpoint.name, false));
  ASSERT_OK_AND_ASSIGN(const SaveModelResult second, world.Save({}, request));
  EXPECT_NE(second.checkpoint.name, first.checkpoint.name);
}

// Whichever step of the disk fails, the client learns it, and the save left
// nothing; after that, the same save succeeds.
TEST(SaveModelFaultTest, AFailingDiskLeavesNoTrace) {
  FaultyFileSystem disk(PosixFileSystem());
  World world(disk);
  const std::string file = MakeSafetensors({FloatTensor("w", {40'000})});
  int step = 0;
  for (;; ++step) {
    disk.FailAt(step, absl::ResourceExhaustedError("disk full"));
    const auto result = world.Save({{"w", file}});
    const bool struck = disk.has_struck();
    disk.Heal();
    EXPECT_THAT(world.Staged(), IsEmpty()) << step;
    if (!struck) {
      EXPECT_OK(result);
      break;
    }
    if (result.ok()) {
      // What failed was not needed: a removal, a hint.
      ASSERT_OK(world.store().DeleteCheckpoint(result->checkpoint.name, false));
      continue;
    }
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kResourceExhausted)) << step;
    EXPECT_EQ(ReasonOf(result.status()), "OUT_OF_SPACE") << step;
    EXPECT_EQ(world.num_checkpoints(), 0) << step;
  }
  EXPECT_GT(step, 4);
  EXPECT_EQ(world.num_checkpoints(), 1);
}

}  // namespace
}  // namespace warmstart::service
