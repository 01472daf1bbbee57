#include "server/service/ingest.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

// A file as a reader might describe it.
class Upload {
 public:
  explicit Upload(World& world)
      : world_(world), draft_(world.store().NewDraft()) {
    contents_.format = "torch-zip";
  }

  // Adds a storage with these bytes and returns its index.
  int32_t AddStorage(const std::string& bytes, bool byte_swapped = false,
                     std::optional<uint32_t> crc32 = std::nullopt) {
    bytes_.resize((bytes_.size() + 63) / 64 * 64, '-');
    contents_.storages.push_back({0, static_cast<int64_t>(bytes_.size()),
                                  static_cast<int64_t>(bytes.size()),
                                  byte_swapped, crc32});
    bytes_ += bytes;
    return static_cast<int32_t>(contents_.storages.size()) - 1;
  }

  void AddTensor(const std::string& key, DType dtype,
                 std::vector<int64_t> sizes, int32_t storage,
                 std::vector<int64_t> strides, int64_t offset = 0) {
    contents_.tensors.push_back(
        {key,
         TensorSpec::Create(dtype, Shape::Create(std::move(sizes)).value())
             .value(),
         storage, offset, std::move(strides)});
  }
  // A tensor that is all of its storage.
  void AddVector(const std::string& key, const std::vector<float>& values) {
    AddTensor(key, DType::kFloat32, {static_cast<int64_t>(values.size())},
              AddStorage(BytesOf(values)), {1});
  }

  absl::StatusOr<Manifest> Run() {
    const absl::StatusOr<store::StagedFile*> staged = draft_->NewFile();
    EXPECT_OK(staged);
    EXPECT_OK((*staged)->Append(bytes_));
    const absl::StatusOr<absl::string_view> view = (*staged)->Finish();
    EXPECT_OK(view);
    return Ingest(contents_, {{{"file.pt", *view}}}, {*staged}, *draft_);
  }

  // Also commits; the values that the store then has, by key.
  std::map<std::string, std::string> Store() {
    const absl::StatusOr<Manifest> manifest = Run();
    EXPECT_OK(manifest);
    if (!manifest.ok()) return {};
    manifest_ = *manifest;
    store::NewCheckpoint checkpoint;
    checkpoint.manifest = *manifest;
    const absl::StatusOr<store::Checkpoint> stored = draft_->Commit(checkpoint);
    EXPECT_OK(stored);
    if (!stored.ok()) return {};
    return world_.Values(stored->name.ToString());
  }

  const Manifest& manifest() const { return manifest_; }
  std::string StorageBytes(int index) {
    const auto blob = world_.store().OpenBlob(manifest_.storages[index].digest);
    EXPECT_OK(blob);
    return blob.ok() ? std::string(blob->bytes) : "";
  }
  const std::string& bytes() const { return bytes_; }

 private:
  World& world_;
  const std::unique_ptr<store::Draft> draft_;
  std::string bytes_ = "some header";
  format::FileContents contents_;
  Manifest manifest_;
};

std::string Floats(const std::vector<float>& values) { return BytesOf(values); }

TEST(IngestTest, ContiguousTensorsStayWhereTheyStandInTheFile) {
  World world;
  Upload upload(world);
  const std::vector<float> ones(20'000, 1);
  const std::vector<float> twos(20'000, 2);
  upload.AddVector("a", ones);
  upload.AddVector("b", twos);
  const auto values = upload.Store();
  EXPECT_EQ(values.at("a"), Floats(ones));
  EXPECT_EQ(values.at("b"), Floats(twos));
  EXPECT_THAT(upload.manifest().storages, IsEmpty());
  // The file itself is the one pack.
  ASSERT_THAT(world.Packs(), SizeIs(1));
  ASSERT_OK_AND_ASSIGN(const auto pack,
                       PosixFileSystem().Map(world.PackPath(world.Packs()[0])));
  EXPECT_TRUE(pack->bytes() == upload.bytes());
}

TEST(IngestTest, ATransposedTensorIsLaidOutRowByRow) {
  World world;
  Upload upload(world);
  upload.AddTensor("t", DType::kFloat32, {3, 2},
                   upload.AddStorage(Floats({0, 1, 2, 10, 11, 12})), {1, 3});
  const auto values = upload.Store();
  EXPECT_EQ(values.at("t"), Floats({0, 10, 1, 11, 2, 12}));
  EXPECT_EQ(upload.manifest().entries[0].digest,
            Digest::Of(Floats({0, 10, 1, 11, 2, 12})));
  EXPECT_EQ(upload.manifest().entries[0].view, std::nullopt);
}

TEST(IngestTest, AnExpandedTensorIsLaidOutInFull) {
  World world;
  Upload upload(world);
  upload.AddTensor("e", DType::kFloat32, {2, 3},
                   upload.AddStorage(Floats({7, 8, 9})), {0, 1});
  EXPECT_EQ(upload.Store().at("e"), Floats({7, 8, 9, 7, 8, 9}));
}

TEST(IngestTest, BigEndianValuesAreStoredLittleEndian) {
  World world;
  Upload upload(world);
  upload.AddTensor(
      "i", DType::kInt32, {2},
      upload.AddStorage(std::string("\0\0\0\1\x80\0\0\2", 8), true), {1});
  // Single bytes have no order.
  upload.AddTensor("u", DType::kUint8, {3}, upload.AddStorage("abc", true),
                   {1});
  const auto values = upload.Store();
  EXPECT_EQ(values.at("i"), std::string("\1\0\0\0\2\0\0\x80", 8));
  EXPECT_EQ(values.at("u"), "abc");
}

TEST(IngestTest, TiedTensorsAreOneAndSayThatTheyAre) {
  World world;
  Upload upload(world);
  const int32_t storage = upload.AddStorage(Floats({1, 2, 3, 4}));
  upload.AddVector("own", {5});
  upload.AddTensor("a", DType::kFloat32, {2, 2}, storage, {2, 1});
  upload.AddTensor("b", DType::kFloat32, {2, 2}, storage, {2, 1});
  const auto values = upload.Store();
  EXPECT_EQ(values.at("a"), Floats({1, 2, 3, 4}));
  EXPECT_EQ(values.at("b"), values.at("a"));
  const Manifest& manifest = upload.manifest();
  ASSERT_THAT(manifest.storages, SizeIs(1));
  EXPECT_EQ(manifest.storages[0].digest, Digest::Of(Floats({1, 2, 3, 4})));
  EXPECT_EQ(manifest.storages[0].num_bytes, 16);
  EXPECT_EQ(manifest.entries[0].view, std::nullopt);
  const StorageView view{0, 0, {2, 1}};
  EXPECT_EQ(manifest.entries[1].view, view);
  EXPECT_EQ(manifest.entries[2].view, view);
}

TEST(IngestTest, DifferentViewsShareAStorageThatIsKeptWhole) {
  World world;
  Upload upload(world);
  const int32_t storage = upload.AddStorage(Floats({0, 1, 2, 3, 4, 5, 6, 7}));
  upload.AddTensor("head", DType::kFloat32, {2}, storage, {1});
  upload.AddTensor("odd", DType::kFloat32, {3}, storage, {2}, 1);
  upload.AddTensor("as_bytes", DType::kUint8, {4}, storage, {1}, 4);
  const auto values = upload.Store();
  EXPECT_EQ(values.at("head"), Floats({0, 1}));
  EXPECT_EQ(values.at("odd"), Floats({1, 3, 5}));
  EXPECT_EQ(values.at("as_bytes"), Floats({1}));
  ASSERT_THAT(upload.manifest().storages, SizeIs(1));
  EXPECT_EQ(upload.StorageBytes(0), Floats({0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(upload.manifest().entries[1].view, (StorageView{0, 1, {2}}));
  EXPECT_EQ(upload.manifest().entries[2].view, (StorageView{0, 4, {1}}));
}

TEST(IngestTest, ASharedBigEndianStorageIsKeptLittleEndian) {
  World world;
  Upload upload(world);
  const int32_t storage =
      upload.AddStorage(std::string("\0\1\0\2\0\3", 6), true);
  upload.AddTensor("all", DType::kInt16, {3}, storage, {1});
  upload.AddTensor("last", DType::kInt16, {1}, storage, {1}, 2);
  const auto values = upload.Store();
  EXPECT_EQ(values.at("all"), std::string("\1\0\2\0\3\0", 6));
  EXPECT_EQ(values.at("last"), std::string("\3\0", 2));
  ASSERT_THAT(upload.manifest().storages, SizeIs(1));
  EXPECT_EQ(upload.StorageBytes(0), std::string("\1\0\2\0\3\0", 6));
  EXPECT_EQ(upload.manifest().entries[1].view, (StorageView{0, 2, {1}}));
}

// No order of bytes would be right for both.
TEST(IngestTest, ABigEndianStorageOfMixedWordsIsNotShared) {
  World world;
  Upload upload(world);
  const int32_t storage = upload.AddStorage(std::string("\0\1\0\2", 4), true);
  upload.AddTensor("shorts", DType::kInt16, {2}, storage, {1});
  upload.AddTensor("int", DType::kInt32, {1}, storage, {1});
  const auto values = upload.Store();
  EXPECT_EQ(values.at("shorts"), std::string("\1\0\2\0", 4));
  EXPECT_EQ(values.at("int"), std::string("\2\0\1\0", 4));
  EXPECT_THAT(upload.manifest().storages, IsEmpty());
  EXPECT_EQ(upload.manifest().entries[0].view, std::nullopt);
  EXPECT_EQ(upload.manifest().entries[1].view, std::nullopt);
}

TEST(IngestTest, ComplexWordsAreHalfAnElement) {
  World world;
  Upload upload(world);
  upload.AddTensor("c", DType::kComplex64, {1},
                   upload.AddStorage("abcdefgh", true), {1});
  EXPECT_EQ(upload.Store().at("c"), "dcbahgfe");
}

TEST(IngestTest, EmptyTensorsAndScalarsAreKept) {
  World world;
  Upload upload(world);
  const int32_t nothing = upload.AddStorage("");
  const int32_t one = upload.AddStorage(Floats({3}));
  upload.AddTensor("empty", DType::kFloat32, {0, 4}, nothing, {4, 1});
  upload.AddTensor("scalar", DType::kFloat32, {}, one, {});
  // An empty view is no reason to take a storage for shared.
  upload.AddTensor("empty_view", DType::kFloat32, {0}, one, {1});
  upload.AddTensor("empty_transposed", DType::kInt64, {3, 0}, nothing, {1, 9});
  const auto values = upload.Store();
  EXPECT_EQ(values.at("empty"), "");
  EXPECT_EQ(values.at("scalar"), Floats({3}));
  EXPECT_EQ(values.at("empty_view"), "");
  EXPECT_EQ(values.at("empty_transposed"), "");
  EXPECT_THAT(upload.manifest().storages, IsEmpty());
}

TEST(IngestTest, AFileOfEmptyTensorsAloneIsKept) {
  World world;
  Upload upload(world);
  upload.AddTensor("empty", DType::kFloat32, {0}, upload.AddStorage(""), {1});
  EXPECT_EQ(upload.Store().at("empty"), "");
}

TEST(IngestTest, ChecksumsThatAreRightPass) {
  World world;
  Upload upload(world);
  const std::string bytes = Floats({1, 2, 3, 4});
  const int32_t storage =
      upload.AddStorage(bytes, false, MakeBlob(bytes).crc32);
  upload.AddTensor("a", DType::kFloat32, {4}, storage, {1});
  upload.AddTensor("part", DType::kFloat32, {2}, storage, {2});
  EXPECT_EQ(upload.Store().at("part"), Floats({1, 3}));
}

TEST(IngestTest, AWrongChecksumIsRefusedWithKeyAndOffset) {
  World world;
  Upload upload(world);
  upload.AddVector("fine", {1});
  upload.AddTensor("broken", DType::kFloat32, {2},
                   upload.AddStorage(Floats({1, 2}), false, 12345), {1});
  const auto manifest = upload.Run();
  EXPECT_THAT(manifest,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("'broken'"), HasSubstr("offset 128"),
                             HasSubstr("CRC-32"))));
  EXPECT_EQ(ReasonOf(manifest.status()), "INVALID_FILE");
}

// Also of what no tensor needs: who wrote the file could not tell.
TEST(IngestTest, AWrongChecksumOfARecordThatIsUsedInPartIsRefused) {
  World world;
  Upload upload(world);
  upload.AddTensor("part", DType::kFloat32, {1},
                   upload.AddStorage(Floats({1, 2}), false, 12345), {1});
  EXPECT_THAT(upload.Run(), StatusIs(absl::StatusCode::kInvalidArgument,
                                     AllOf(HasSubstr("record of 8 bytes"),
                                           HasSubstr("offset 64"))));
}

TEST(IngestTest, AWrongChecksumOfATransposedOrSwappedRecordIsRefused) {
  World world;
  for (const bool byte_swapped : {false, true}) {
    Upload upload(world);
    upload.AddTensor("t", DType::kFloat32, {2, 2},
                     upload.AddStorage(Floats({1, 2, 3, 4}), byte_swapped, 1),
                     {1, 2});
    EXPECT_THAT(upload.Run(), StatusIs(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("offset 64")));
  }
}

TEST(IngestTest, ManySmallTensorsKeepTheirOwnValues) {
  World world;
  Upload upload(world);
  constexpr int kTensors = 3000;
  for (int i = 0; i < kTensors; ++i) {
    // Some are equal, and some have to be laid out anew.
    const std::vector<float> values = {static_cast<float>(i % 1000), 1, 2, 3};
    upload.AddTensor(
        absl::StrCat("t", i), DType::kFloat32, {2, 2},
        upload.AddStorage(Floats(values)),
        i % 3 == 0 ? std::vector<int64_t>{1, 2} : std::vector<int64_t>{2, 1});
  }
  const auto values = upload.Store();
  ASSERT_THAT(values, SizeIs(kTensors));
  for (int i = 0; i < kTensors; ++i) {
    const float first = static_cast<float>(i % 1000);
    EXPECT_EQ(values.at(absl::StrCat("t", i)),
              i % 3 == 0 ? Floats({first, 2, 1, 3}) : Floats({first, 1, 2, 3}))
        << i;
  }
}

TEST(IngestTest, WhatTheFileSaysBesidesTensorsIsHandedOn) {
  World world;
  std::unique_ptr<store::Draft> draft = world.store().NewDraft();
  format::FileContents contents;
  contents.subtrees = {"model_state"};
  contents.module_versions = {{"", 1}, {"bn", 2}};
  contents.metadata_json = R"({"epoch":3})";
  ASSERT_OK_AND_ASSIGN(const Manifest manifest,
                       Ingest(contents, {}, {}, *draft));
  EXPECT_EQ(manifest.subtrees, contents.subtrees);
  EXPECT_EQ(manifest.module_versions, contents.module_versions);
  EXPECT_EQ(manifest.metadata_json, contents.metadata_json);
}

TEST(MakeBlobTest, DigestSizeAndChecksumAreThoseOfTheBytes) {
  EXPECT_EQ(MakeBlob("").num_bytes, 0);
  EXPECT_EQ(MakeBlob("").crc32, 0);
  EXPECT_EQ(MakeBlob("").digest, Digest::Of(""));
  // The check value of CRC-32's specification.
  EXPECT_EQ(MakeBlob("123456789").crc32, 0xCBF43926);
  // Over the steps in which it goes.
  for (const size_t size : {65535, 65536, 65537, 200000}) {
    const std::string bytes(size, 'x');
    const store::Blob blob = MakeBlob(bytes);
    EXPECT_EQ(blob.num_bytes, size);
    EXPECT_EQ(blob.digest, Digest::Of(bytes));
  }
}

}  // namespace
}  // namespace warmstart::service
