#include "tests/fuzz/contents_checks.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/round_trip.h"

// A fuzzer that cannot fail finds nothing.

namespace warmstart::fuzz {
namespace {

using format::FileContents;
using format::FileTensor;
using format::FileView;

class ContentsChecksTest : public ::testing::Test {
 protected:
  // 32 bytes, with two storages of 12 and 16 and a float32 matrix in each.
  ContentsChecksTest() : bytes_("0123456789abcdefghijklmnopqrstuv") {
    contents_.format = "test";
    contents_.storages.resize(2);
    contents_.storages[0].num_bytes = 12;
    contents_.storages[1].offset = 12;
    contents_.storages[1].num_bytes = 16;
    contents_.tensors.push_back(Matrix("a", 0, 0, {3, 1}, {1, 1}));
    contents_.tensors.push_back(Matrix("b", 1, 0, {2, 2}, {1, 2}));
    contents_.metadata_json = "{\"epoch\":1}";
  }

  static FileTensor Matrix(std::string key, int storage, int64_t offset,
                           std::vector<int64_t> sizes,
                           std::vector<int64_t> strides) {
    FileTensor tensor;
    tensor.key = std::move(key);
    tensor.spec =
        *TensorSpec::Create(DType::kFloat32, *Shape::Create(std::move(sizes)));
    tensor.storage = storage;
    tensor.element_offset = offset;
    tensor.strides = std::move(strides);
    return tensor;
  }

  void Check() {
    const FileView file = {"file", bytes_};
    CheckContents({&file, 1}, contents_);
    CheckRoundTrip({&file, 1}, contents_);
  }

  std::string bytes_;
  FileContents contents_;
};

using ContentsChecksDeathTest = ContentsChecksTest;

TEST_F(ContentsChecksTest, GoodContentsPass) { Check(); }

TEST_F(ContentsChecksTest, TransposedValuesAreRead) {
  const FileView file = {"file", bytes_};
  EXPECT_EQ(ReadValues({&file, 1}, contents_, contents_.tensors[1], 100),
            "cdefklmnghijopqr");
  EXPECT_EQ(ReadValues({&file, 1}, contents_, contents_.tensors[1], 15),
            std::nullopt);
}

TEST_F(ContentsChecksDeathTest, StorageOutsideOfTheFile) {
  contents_.storages[1].num_bytes = 21;
  EXPECT_DEATH(Check(), "a storage lies inside of its file");
}

TEST_F(ContentsChecksDeathTest, OverlappingStorages) {
  contents_.storages[1].offset = 11;
  EXPECT_DEATH(Check(), "storages do not overlap");
}

TEST_F(ContentsChecksDeathTest, TensorOutsideOfItsStorage) {
  contents_.tensors[1].element_offset = 1;
  EXPECT_DEATH(Check(), "elements lie inside of the storage");
}

TEST_F(ContentsChecksDeathTest, NegativeStride) {
  contents_.tensors[1].strides[0] = -1;
  EXPECT_DEATH(Check(), "strides are not negative");
}

TEST_F(ContentsChecksDeathTest, RepeatedKey) {
  contents_.tensors[1].key = "a";
  EXPECT_DEATH(Check(), "keys are unique");
}

TEST_F(ContentsChecksDeathTest, BadKey) {
  contents_.tensors[1].key = "../a";
  EXPECT_DEATH(Check(), "keys keep the rule");
}

TEST_F(ContentsChecksDeathTest, TextThatIsNoUtf8) {
  contents_.skipped.push_back({"a", "\xFF"});
  EXPECT_DEATH(Check(), "reasons for skipping are UTF-8");
}

TEST_F(ContentsChecksDeathTest, MetadataThatIsNoObject) {
  contents_.metadata_json = "[1]";
  EXPECT_DEATH(Check(), "metadata is a JSON object");
}

TEST_F(ContentsChecksDeathTest, ContentsOutOfProportion) {
  contents_.subtrees.emplace_back(2 << 20, 's');
  EXPECT_DEATH(Check(), "in proportion");
}

TEST_F(ContentsChecksDeathTest, RefusalOfAnotherKind) {
  EXPECT_DEATH(RequireRefusal(absl::InternalError("oops")),
               "refused as invalid arguments");
  EXPECT_DEATH(RequireRefusal(absl::InvalidArgumentError("")), "says why");
  EXPECT_DEATH(
      RequireRefusal(absl::InvalidArgumentError(std::string(5000, 'm'))),
      "messages are short");
}

}  // namespace
}  // namespace warmstart::fuzz
