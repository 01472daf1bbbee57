#include "tests/bench/synthetic_store.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/digest.h"
#include "server/model/report.h"
#include "server/store/store.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::StatusIs;

constexpr int kCheckpoints = 210;  // one family of team-0 more than of others

class SyntheticStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<int64_t> progress;
    ASSERT_THAT(MakeSyntheticStore(
                    {.data_dir = data_dir_, .num_checkpoints = kCheckpoints},
                    [&](int64_t done) { progress.push_back(done); }),
                IsOk());
    EXPECT_THAT(progress, ElementsAre(kCheckpoints));
    ASSERT_OK_AND_ASSIGN(store_, store::OpenStore(data_dir_));
  }

  // Of all checkpoints that the filters leave, newest first.
  std::vector<store::Checkpoint> List(store::ListCheckpointsOptions options) {
    options.page_size = 1000;
    const auto page = store_->ListCheckpoints(options);
    EXPECT_THAT(page, IsOk());
    return page.ok() ? page->checkpoints : std::vector<store::Checkpoint>();
  }

  const testing::TempDir temp_dir_;
  const std::string data_dir_ = temp_dir_.Join("data");
  std::unique_ptr<store::Store> store_;
};

TEST_F(SyntheticStoreTest, TheDiskIsAsTheStoreWouldHaveLeftIt) {
  store_.reset();
  EXPECT_THAT(store::CheckDisk(data_dir_), IsOk());
  EXPECT_THAT(store::FilesIn(data_dir_ + "/packs"),
              SizeIs(kCheckpoints / SyntheticStore::kFamily));
}

TEST_F(SyntheticStoreTest, FiltersFindWhatTheHeaderPromises) {
  EXPECT_THAT(List({}), SizeIs(kCheckpoints));
  EXPECT_THAT(List({.labels = {{"run", "run-17"}}}), SizeIs(1));
  EXPECT_THAT(List({.labels = {{"team", "team-0"}}}), SizeIs(20));
  EXPECT_THAT(List({.labels = {{"team", "team-1"}, {"stage", "prod"}}}),
              SizeIs(1));
  EXPECT_THAT(
      List({.architecture = store::MakeArchitectureName("Synthetic17")}),
      SizeIs(2));
  EXPECT_THAT(List({.alias = "models/0/*"}),
              SizeIs(kCheckpoints / SyntheticStore::kFamily));
  EXPECT_THAT(List({.alias = "models/0/19"}), SizeIs(1));
}

TEST_F(SyntheticStoreTest, EveryTensorReadsBackAndAllButBodiesAreDistinct) {
  std::set<Digest> digests;
  for (const store::Checkpoint& checkpoint : List({})) {
    EXPECT_EQ(checkpoint.num_tensors, SyntheticStore::kTensors);
    const auto manifest = store_->GetManifest(checkpoint.name);
    ASSERT_THAT(manifest, IsOk());
    for (const ManifestEntry& entry : (*manifest)->entries) {
      const auto data = store_->OpenBlob(entry.digest);
      ASSERT_THAT(data, IsOk());  // it compares the digest
      EXPECT_EQ(data->bytes.size(), entry.spec.num_bytes());
      digests.insert(entry.digest);
    }
  }
  constexpr int kFamilies = kCheckpoints / SyntheticStore::kFamily;
  EXPECT_THAT(digests, SizeIs(kFamilies * SyntheticStore::kTensors +
                              (kCheckpoints - kFamilies) * 2));
}

TEST_F(SyntheticStoreTest, WarmStartsHaveTheirReports) {
  const std::vector<store::Checkpoint> found =
      List({.labels = {{"run", "run-105"}}});
  ASSERT_THAT(found, SizeIs(1));
  const auto report = MatchReportFromJson(found[0].report_json);
  ASSERT_THAT(report, IsOk());
  EXPECT_EQ(report->architecture, "Synthetic5/versions/1");
  EXPECT_THAT(report->missing_keys, ElementsAre("head.weight", "head.bias"));
  EXPECT_THAT(report->unexpected_keys,
              ElementsAre("pretrained_head.weight", "pretrained_head.bias"));
  EXPECT_THAT(store_->GetArchitecture(*found[0].architecture), IsOk());
}

TEST_F(SyntheticStoreTest, AFamilyIsDeletedAsAnyOther) {
  for (int i = 200; i < 210; ++i) {
    const auto found = List({.labels = {{"run", absl::StrCat("run-", i)}}});
    ASSERT_THAT(found, SizeIs(1));
    EXPECT_THAT(store_->DeleteCheckpoint(found[0].name, /*force=*/true),
                IsOk());
  }
  EXPECT_THAT(List({.alias = "models/0/209"}), IsEmpty());
  store_.reset();
  EXPECT_THAT(store::CheckDisk(data_dir_), IsOk());
}

TEST_F(SyntheticStoreTest, AStoreWithCheckpointsIsNotTouched) {
  store_.reset();
  EXPECT_THAT(MakeSyntheticStore({.data_dir = data_dir_, .num_checkpoints = 10},
                                 [](int64_t) {}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("holds checkpoints already")));
  ASSERT_OK_AND_ASSIGN(store_, store::OpenStore(data_dir_));
  EXPECT_THAT(List({}), SizeIs(kCheckpoints));
}

}  // namespace
}  // namespace warmstart::bench
