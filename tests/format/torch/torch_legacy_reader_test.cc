#include "server/format/torch/torch_legacy_reader.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/format/hand_made.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using hand_made::Dict;
using hand_made::Floats;
using hand_made::FloatVector;
using hand_made::Int;
using hand_made::Storage;
using hand_made::Tensor;
using hand_made::Text;
using hand_made::TorchLegacy;
using hand_made::Tuple;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

absl::StatusOr<FileContents> Read(const std::string& bytes) {
  return ReadTorchLegacy({"test.pt", bytes});
}

void ExpectRefused(const std::string& bytes, const std::string& message) {
  EXPECT_THAT(Read(bytes).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
}

const std::string kValue = Dict({{Text("w"), FloatVector("k", 2)}});

TEST(TorchLegacyReaderTest, TensorsLieBehindThePickles) {
  const std::string bytes = TorchLegacy(kValue, {{"k", 2, Floats({1, 2})}});
  EXPECT_TRUE(LooksLikeTorchLegacy(bytes));
  ASSERT_OK_AND_ASSIGN(const FileContents contents, Read(bytes));
  EXPECT_EQ(contents.format, "torch-legacy");
  ASSERT_THAT(contents.tensors, SizeIs(1));
  const FileStorage& storage = contents.storages[0];
  EXPECT_EQ(bytes.substr(storage.offset, storage.num_bytes), Floats({1, 2}));
  EXPECT_FALSE(storage.crc32.has_value());
}

TEST(TorchLegacyReaderTest, EveryProtocolIsRecognised) {
  // As Python 3.11 pickles the magic number under protocols 0 to 5.
  const std::string magic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  EXPECT_TRUE(LooksLikeTorchLegacy("L119547037146038801333356L\n."));
  EXPECT_TRUE(LooksLikeTorchLegacy("\x80\x02" + magic));
  EXPECT_TRUE(LooksLikeTorchLegacy("\x80\x03" + magic));
  EXPECT_TRUE(LooksLikeTorchLegacy(
      absl::StrCat("\x80\x04\x95", hand_made::Number(13, 8), magic)));
  EXPECT_FALSE(LooksLikeTorchLegacy("\x80\x02}."));
  EXPECT_FALSE(LooksLikeTorchLegacy("\x80"));
  EXPECT_FALSE(LooksLikeTorchLegacy(""));
}

TEST(TorchLegacyReaderTest, ViewsOfStoragesAreNarrowed) {
  const auto view = [](int64_t offset, int64_t size, int64_t elements) {
    return Dict({{Text("w"),
                  Tensor(Storage("Float", "k", 4,
                                 {Tuple({Text("v"), Int(offset), Int(size)})}),
                         0, {elements}, {1})}});
  };
  const std::string floats = Floats({1, 2, 3, 4});
  ASSERT_OK_AND_ASSIGN(const FileContents contents,
                       Read(TorchLegacy(view(1, 2, 2), {{"k", 4, floats}})));
  EXPECT_EQ(contents.tensors[0].element_offset, 1);
  ExpectRefused(TorchLegacy(view(1, 2, 3), {{"k", 4, floats}}),
                "element 2 lies outside of its storage of 2 elements");
  for (const auto& [offset, size] : std::vector<std::pair<int64_t, int64_t>>{
           {3, 2}, {-1, 2}, {1, -1}, {5, 0}, {INT64_MAX, INT64_MAX}}) {
    ExpectRefused(TorchLegacy(view(offset, size, 1), {{"k", 4, floats}}),
                  "its storage is a view of");
  }
}

TEST(TorchLegacyReaderTest, SizesThatDisagreeAreRefused) {
  ExpectRefused(TorchLegacy(kValue, {{"k", 3, Floats({1, 2, 3})}}),
                "the storage 'k' has 3 elements where 2 are expected, at byte");
  for (int64_t size : {int64_t{-1}, INT64_MAX, int64_t{1} << 61}) {
    ExpectRefused(
        TorchLegacy(Dict({{Text("w"),
                           Tensor(Storage("Float", "k", size), 0, {1}, {1})}}),
                    {{"k", size, Floats({1})}}),
        "reaches past the end of the file");
  }
}

TEST(TorchLegacyReaderTest, StoragesMustBeDeclaredAndComplete) {
  ExpectRefused(TorchLegacy(kValue, {}), "its storage 'k' is not in the file");
  ExpectRefused(TorchLegacy(kValue, {{"x", 2, Floats({1, 2})}}),
                "the storage 'x' belongs to no tensor");
  ExpectRefused(
      TorchLegacy(kValue, {{"k", 2, Floats({1, 2})}, {"k", 2, Floats({1, 2})}}),
      "the storage 'k' comes twice");
  ExpectRefused(
      TorchLegacy(
          Dict({{Text("w"), Tensor(Storage("Odd", "k", 2), 0, {2}, {1})}}),
          {{"k", 2, Floats({1, 2})}}),
      "of a class that PyTorch never had");
}

TEST(TorchLegacyReaderTest, StoragesOfSkippedTensorsArePassedOver) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(TorchLegacy(
          Dict({{Text("q"), Tensor(Storage("QInt32", "q", 1), 0, {1}, {1})},
                {Text("w"), FloatVector("k", 2)}}),
          {{"q", 1, "1234"}, {"k", 2, Floats({1, 2})}})));
  EXPECT_THAT(contents.tensors, SizeIs(1));
  EXPECT_EQ(contents.skipped[0].path, "q");
}

TEST(TorchLegacyReaderTest, BytesAfterTheEndAreReported) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(TorchLegacy(kValue, {{"k", 2, Floats({1, 2})}}) + "more"));
  ASSERT_THAT(contents.skipped, SizeIs(1));
  EXPECT_EQ(contents.skipped[0].reason,
            "4 bytes after the end of the checkpoint");
}

TEST(TorchLegacyReaderTest, OtherVersionsAreRefused) {
  std::string bytes = TorchLegacy(kValue, {{"k", 2, Floats({1, 2})}});
  const size_t version = bytes.find(hand_made::Number(1001, 8));
  bytes.replace(version, 8, hand_made::Number(1002, 8));
  ExpectRefused(bytes, "unknown version of torch.save's legacy format");
  ExpectRefused("\x80\x02K\1.", "the magic number of torch.save is missing");
}

TEST(TorchLegacyReaderTest, EveryTruncationIsRefused) {
  const std::string bytes = TorchLegacy(kValue, {{"k", 2, Floats({1, 2})}});
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(Read(bytes.substr(0, size)).status(),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << size;
  }
}

}  // namespace
}  // namespace warmstart::format
