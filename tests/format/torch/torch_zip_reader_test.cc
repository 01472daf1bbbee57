#include "server/format/torch/torch_zip_reader.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/format/hand_made.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using hand_made::Dict;
using hand_made::Floats;
using hand_made::FloatVector;
using hand_made::Storage;
using hand_made::Tensor;
using hand_made::Text;
using hand_made::TorchZip;
using hand_made::Zip;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

absl::StatusOr<FileContents> Read(const std::string& bytes) {
  return ReadTorchZip({"test.pt", bytes});
}

void ExpectRefused(const std::string& bytes, const std::string& message) {
  EXPECT_THAT(Read(bytes).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
}

const std::string kValue = Dict({{Text("w"), FloatVector("0", 2)}});

TEST(TorchZipReaderTest, TensorsLieInTheirRecords) {
  const std::string bytes = TorchZip(kValue, {{"0", Floats({1, 2})}});
  EXPECT_TRUE(LooksLikeTorchZip(bytes));
  ASSERT_OK_AND_ASSIGN(const FileContents contents, Read(bytes));
  EXPECT_EQ(contents.format, "torch-zip");
  ASSERT_THAT(contents.tensors, SizeIs(1));
  ASSERT_THAT(contents.storages, SizeIs(1));
  const FileStorage& storage = contents.storages[0];
  EXPECT_EQ(bytes.substr(storage.offset, storage.num_bytes), Floats({1, 2}));
  EXPECT_TRUE(storage.crc32.has_value());
  EXPECT_FALSE(storage.byte_swapped);
}

TEST(TorchZipReaderTest, SharedStorageIsListedOnce) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(TorchZip(Dict({{Text("a"), FloatVector("0", 2)},
                          {Text("b"), FloatVector("0", 2)}}),
                    {{"0", Floats({1, 2})}, {"unused", "bytes"}})));
  EXPECT_THAT(contents.tensors, SizeIs(2));
  EXPECT_THAT(contents.storages, SizeIs(1));
}

TEST(TorchZipReaderTest, StoragesMayEndWithinAnElement) {
  // What a tensor on an untyped storage of 10 bytes is saved as.
  EXPECT_OK(Read(TorchZip(kValue, {{"0", std::string(10, 'x')}})));
}

TEST(TorchZipReaderTest, StoragesOfOtherSizesAreRefused) {
  ExpectRefused(TorchZip(kValue, {{"0", Floats({1})}}),
                "tensor 'w': its storage 'archive/data/0' has 4 bytes where 2 "
                "elements of 4 bytes are expected");
  ExpectRefused(TorchZip(kValue, {{"0", Floats({1, 2, 3})}}), "has 12 bytes");
  for (int64_t size : {int64_t{-2}, INT64_MAX, INT64_MIN, int64_t{1} << 62}) {
    ExpectRefused(TorchZip(Dict({{Text("w"), Tensor(Storage("Float", "0", size),
                                                    0, {2}, {1})}}),
                           {{"0", Floats({1, 2})}}),
                  "has 8 bytes");
  }
}

TEST(TorchZipReaderTest, MissingStorageIsRefused) {
  ExpectRefused(TorchZip(kValue, {{"1", Floats({1, 2})}}),
                "tensor 'w': its storage 'archive/data/0' is not in the zip");
}

TEST(TorchZipReaderTest, CompressedRecordsAreRefusedWhenNeeded) {
  hand_made::ZipEntry storage = {"a/data/0", Floats({1, 2})};
  storage.method = 8;
  ExpectRefused(Zip({{"a/data.pkl", kValue + "."}, storage}), "is compressed");
  hand_made::ZipEntry code = {"a/code/net.py", "xxx"};
  code.method = 8;
  EXPECT_OK(Read(
      Zip({{"a/data.pkl", kValue + "."}, {"a/data/0", Floats({1, 2})}, code})));
}

TEST(TorchZipReaderTest, DamagedPickleIsRefused) {
  hand_made::ZipEntry pickle = {"a/data.pkl", kValue + "."};
  pickle.crc32 = 1;
  ExpectRefused(Zip({pickle, {"a/data/0", Floats({1, 2})}}),
                "the checksum of record 'a/data.pkl' is wrong");
}

TEST(TorchZipReaderTest, PickleMayNotReadBeyondItsRecord) {
  ExpectRefused(Zip({{"a/data.pkl", "X" + hand_made::Number(20, 4) + "abc"},
                     {"a/data/0", std::string(100, '.')}}),
                "it needs 20 bytes where 3 are left");
}

TEST(TorchZipReaderTest, ByteOrderIsRead) {
  const auto file = [](const std::string& order) {
    return Zip({{"a/data.pkl", kValue + "."},
                {"a/byteorder", order},
                {"a/data/0", Floats({1, 2})}});
  };
  ASSERT_OK_AND_ASSIGN(const FileContents little, Read(file("little")));
  EXPECT_FALSE(little.storages[0].byte_swapped);
  ASSERT_OK_AND_ASSIGN(const FileContents big, Read(file("big")));
  EXPECT_TRUE(big.storages[0].byte_swapped);
  ExpectRefused(file("middle"), "unknown byte order 'middle'");
}

TEST(TorchZipReaderTest, OtherZipFilesAreRefused) {
  ExpectRefused(Zip({{"arr_0.npy", "x"}}), "no data.pkl in a folder");
  ExpectRefused(Zip({{"data.pkl", kValue + "."}}), "no data.pkl in a folder");
  ExpectRefused(Zip({{"a/data.pkl", "N."}, {"b/data.pkl", "N."}}),
                "more than one data.pkl");
}

}  // namespace
}  // namespace warmstart::format
