#include "server/format/torch/state_dict_pickle.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/format/sample_checkpoints.h"
#include "tests/testing/status_matchers.h"

// That the pickles are those that Python writes, byte for byte, is what
// check_written_files.py checks. Here: what it cannot see.

namespace warmstart::format {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

int Count(absl::string_view text, absl::string_view part) {
  int count = 0;
  for (size_t at = text.find(part); at != absl::string_view::npos;
       at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(StateDictPickleTest, EqualTensorsKeepTheirOwnStorages) {
  SampleCheckpoint sample("");
  sample.Add("a.bias", DType::kFloat32, {4}, 1);
  sample.Add("b.bias", DType::kFloat32, {4}, 1);
  ASSERT_EQ(sample.manifest().entries[0].digest,
            sample.manifest().entries[1].digest);
  ASSERT_OK_AND_ASSIGN(const StateDictPickle pickle,
                       PickleStateDict(sample.manifest()));
  EXPECT_THAT(pickle.storages, SizeIs(2));
}

TEST(StateDictPickleTest, StoragesComeInTheOrderOfTheirFirstMention) {
  SampleCheckpoint sample("");
  const int first = sample.AddStorage(4, 1);
  const int second = sample.AddStorage(8, 2);
  sample.AddStorage(12, 3);  // which nobody views
  sample.AddView("x", DType::kUint8, {8}, {second, 0, {1}});
  sample.Add("y", DType::kUint8, {2}, 4);
  sample.AddView("z", DType::kUint8, {4}, {first, 0, {1}});
  sample.AddView("x again", DType::kUint8, {1}, {second, 7, {1}});
  ASSERT_OK_AND_ASSIGN(const StateDictPickle pickle,
                       PickleStateDict(sample.manifest()));
  ASSERT_THAT(pickle.storages, SizeIs(3));
  EXPECT_EQ(pickle.storages[0].num_bytes, 8);
  EXPECT_EQ(pickle.storages[1].num_bytes, 2);
  EXPECT_EQ(pickle.storages[2].num_bytes, 4);
  EXPECT_EQ(pickle.storages[2].digest, sample.manifest().storages[0].digest);
}

TEST(StateDictPickleTest, StorageUnderTwoTypesIsUntyped) {
  SampleCheckpoint sample("");
  const int storage = sample.AddStorage(8, 1);
  sample.AddView("f", DType::kFloat32, {2}, {storage, 0, {1}});
  sample.AddView("i", DType::kInt32, {2}, {storage, 0, {1}});
  sample.Add("own", DType::kFloat32, {2}, 2);
  ASSERT_OK_AND_ASSIGN(const StateDictPickle pickle,
                       PickleStateDict(sample.manifest()));
  EXPECT_TRUE(absl::StrContains(pickle.bytes, "ctorch\nfloat32\n"));
  EXPECT_TRUE(absl::StrContains(pickle.bytes, "ctorch\nint32\n"));
  EXPECT_FALSE(absl::StrContains(pickle.bytes, "IntStorage"));
  EXPECT_EQ(Count(pickle.bytes, "FloatStorage"), 1);
}

TEST(StateDictPickleTest, StorageOfAPartialElementIsUntyped) {
  SampleCheckpoint sample("");
  const int storage = sample.AddStorage(10, 1);
  sample.AddView("f", DType::kFloat32, {2}, {storage, 0, {1}});
  ASSERT_OK_AND_ASSIGN(const StateDictPickle pickle,
                       PickleStateDict(sample.manifest()));
  EXPECT_TRUE(absl::StrContains(pickle.bytes, "UntypedStorage"));
}

TEST(StateDictPickleTest, NoModulesNoMetadata) {
  SampleCheckpoint sample("");
  sample.Add("a", DType::kFloat32, {1}, 1);
  ASSERT_OK_AND_ASSIGN(const StateDictPickle pickle,
                       PickleStateDict(sample.manifest()));
  EXPECT_FALSE(absl::StrContains(pickle.bytes, "_metadata"));
}

Manifest WithView(std::vector<int64_t> sizes, StorageView view) {
  SampleCheckpoint sample("");
  sample.AddStorage(16, 1);
  Manifest manifest = sample.manifest();
  ManifestEntry entry;
  entry.key = "x";
  entry.spec =
      *TensorSpec::Create(DType::kFloat32, *Shape::Create(std::move(sizes)));
  entry.view = std::move(view);
  manifest.entries.push_back(std::move(entry));
  return manifest;
}

TEST(StateDictPickleTest, ViewsInsideTheirStorageAreFine) {
  EXPECT_OK(PickleStateDict(WithView({4}, {0, 0, {1}})));
  EXPECT_OK(PickleStateDict(WithView({2, 2}, {0, 0, {1, 2}})));
  EXPECT_OK(PickleStateDict(WithView({}, {0, 3, {}})));
  EXPECT_OK(PickleStateDict(WithView({0, 9}, {0, 4, {9, 1}})));
}

TEST(StateDictPickleTest, ViewOutsideItsStorageIsInternal) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  for (const Manifest& manifest :
       {WithView({4}, {0, 1, {1}}), WithView({}, {0, 4, {}}),
        WithView({2}, {0, 0, {4}}), WithView({2}, {0, 1, {-1}}),
        WithView({2}, {0, -1, {1}}), WithView({2}, {1, 0, {1}}),
        WithView({2}, {-1, 0, {1}}), WithView({2}, {0, 0, {}}),
        WithView({3}, {0, 0, {kMax}}), WithView({2}, {0, kMax, {1}})}) {
    EXPECT_THAT(PickleStateDict(manifest),
                StatusIs(absl::StatusCode::kInternal,
                         HasSubstr("'x' does not lie inside its storage")));
  }
}

TEST(StateDictPickleTest, NoEntriesGiveAnEmptyOrderedDict) {
  ASSERT_OK_AND_ASSIGN(const StateDictPickle pickle,
                       PickleStateDict(Manifest()));
  EXPECT_THAT(pickle.storages, IsEmpty());
  EXPECT_EQ(pickle.bytes, std::string("\x80\x02"
                                      "ccollections\nOrderedDict\nq\0)Rq\1.",
                                      34));
}

}  // namespace
}  // namespace warmstart::format
