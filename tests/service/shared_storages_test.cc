#include "server/service/shared_storages.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/world.h"

namespace warmstart::service {
namespace {

using planner::Assignment;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A source of two rows of one storage, the storage as a whole, and a tensor of
// its own.
class ShareStoragesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    source_.storages.push_back({Digest::Of("storage"), 24});
    AddSource({3}, StorageView{0, 0, {1}});
    AddSource({3}, StorageView{0, 3, {1}});
    AddSource({2, 3}, StorageView{0, 0, {3, 1}});
    AddSource({3}, std::nullopt);
  }

  void AddSource(std::vector<int64_t> sizes, std::optional<StorageView> view) {
    ManifestEntry entry;
    entry.key = std::string(1, static_cast<char>('a' + source_.entries.size()));
    entry.spec = Spec(std::move(sizes));
    entry.digest = Digest::Of(entry.key);
    entry.view = std::move(view);
    source_.entries.push_back(std::move(entry));
  }

  static TensorSpec Spec(std::vector<int64_t> sizes) {
    return TensorSpec::Create(DType::kFloat32,
                              Shape::Create(std::move(sizes)).value())
        .value();
  }

  // An entry of the target that source tensor `entry` is loaded into; fresh
  // where there is none.
  void AddEntry(std::string key, std::optional<int64_t> entry,
                std::string tied_to = "") {
    const TensorSpec spec =
        entry.has_value() ? source_.entries[*entry].spec : Spec({3});
    target_.entries.push_back(
        {key, spec, EntryKind::kParameter, ConstantInit{}, tied_to});
    assignments_.push_back(
        {entry.has_value() ? SourceTensor(0, *entry, spec) : nullptr,
         DType::kFloat32, std::nullopt});
    ManifestEntry result;
    result.key = key;
    result.spec = spec;
    result.digest = entry.has_value() ? source_.entries[*entry].digest
                                      : Digest::Of("fresh " + key);
    result_.entries.push_back(std::move(result));
  }

  void Share() { ShareStorages(target_, assignments_, {&source_}, result_); }

  std::optional<StorageView> View(size_t i) { return result_.entries[i].view; }

  Manifest source_;
  Architecture target_;
  std::vector<Assignment> assignments_;
  Manifest result_;
};

TEST_F(ShareStoragesTest, TensorsThatShareAStorageDoSoInTheResult) {
  AddEntry("x", 3);
  AddEntry("y", 1);
  AddEntry("z", 0);
  Share();
  EXPECT_THAT(result_.storages, ElementsAre(source_.storages[0]));
  EXPECT_EQ(View(0), std::nullopt);
  EXPECT_EQ(View(1), (StorageView{0, 3, {1}}));
  EXPECT_EQ(View(2), (StorageView{0, 0, {1}}));
}

TEST_F(ShareStoragesTest, OneOfThemAloneIsATensorOfItsOwn) {
  AddEntry("x", 0);
  AddEntry("y", 3);
  Share();
  EXPECT_THAT(result_.storages, IsEmpty());
  EXPECT_EQ(View(0), std::nullopt);
}

TEST_F(ShareStoragesTest, CopiesOfOneTensorAreTrainedApart) {
  AddEntry("layer0", 0);
  AddEntry("layer1", 0);
  Share();
  EXPECT_THAT(result_.storages, IsEmpty());
  AddEntry("layer2", 1);
  Share();
  EXPECT_EQ(View(0), (StorageView{0, 0, {1}}));
  EXPECT_EQ(View(1), std::nullopt);
  EXPECT_EQ(View(2), (StorageView{0, 3, {1}}));
}

TEST_F(ShareStoragesTest, WhatIsComputedTakesNoPart) {
  AddEntry("x", 0);
  AddEntry("y", 1);
  assignments_[1].value = Derive(ScaleOp{2}, {assignments_[1].value}).value();
  AddEntry("z", 2);
  assignments_[2].value =
      Derive(ReshapeOp{Shape::Create({6}).value()}, {assignments_[2].value})
          .value();
  result_.entries[2].spec = Spec({6});
  result_.entries[1].digest = Digest::Of("computed");
  assignments_[1].dtype = DType::kFloat32;
  Share();
  EXPECT_THAT(result_.storages, IsEmpty());
}

TEST_F(ShareStoragesTest, TiedEntriesWithTheSameValuesAreOneTensor) {
  AddEntry("embed", 3);
  AddEntry("head", 3, "embed");
  AddEntry("other", 3);
  AddEntry("second", 3, "embed");
  Share();
  EXPECT_THAT(result_.storages,
              ElementsAre(SharedStorage{source_.entries[3].digest, 12}));
  const StorageView whole{0, 0, {1}};
  EXPECT_EQ(View(0), whole);
  EXPECT_EQ(View(1), whole);
  EXPECT_EQ(View(2), std::nullopt);
  EXPECT_EQ(View(3), whole);
}

TEST_F(ShareStoragesTest, TiedEntriesWithOtherValuesAreTwo) {
  AddEntry("embed", 3);
  AddEntry("head", 1, "embed");
  Share();
  EXPECT_THAT(result_.storages, IsEmpty());
}

TEST_F(ShareStoragesTest, ATieJoinsTheStorageOfTheSource) {
  AddEntry("x", 0);
  AddEntry("y", 1);
  AddEntry("tied", 1, "y");
  Share();
  EXPECT_THAT(result_.storages, ElementsAre(source_.storages[0]));
  EXPECT_EQ(View(2), View(1));
  EXPECT_EQ(View(1), (StorageView{0, 3, {1}}));
}

}  // namespace
}  // namespace warmstart::service
