// A snapshot is what the store held when it was taken, whatever is done to the
// store while it lives; and a folder with what it holds is a store.

#include "server/store/snapshot.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/status_macros.h"
#include "server/store/local/paths.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/sqlite/sqlite_schema.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

// Too much for the catalog.
Tensors PackOf(uint32_t seed) { return {{"w", RandomBytes(140'000, seed)}}; }

void WriteFile(const std::string& path, absl::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Copies what `snapshot` holds into the data directory `to`.
absl::Status Copy(Snapshot& snapshot, const std::string& to) {
  const StorePaths paths(to);
  RETURN_IF_ERROR(PosixFileSystem().CreateDirectory(paths.PacksDir()));
  for (const SnapshotPack& pack : snapshot.packs()) {
    ASSIGN_OR_RETURN(const BlobData data, snapshot.OpenPack(pack));
    WriteFile(paths.Pack(pack.name), data.bytes);
  }
  WriteFile(paths.Catalog(), snapshot.catalog());
  return absl::OkStatus();
}

class SnapshotTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    store_.reset();
    ASSERT_OK_AND_ASSIGN(store_,
                         OpenStore(data_dir_, PosixFileSystem(), clock_));
  }

  std::vector<std::string> Packs() const {
    return FilesIn(StorePaths(data_dir_).PacksDir());
  }
  std::vector<std::string> Staged() const {
    return FilesIn(StorePaths(data_dir_).StagingDir());
  }

  testing::TempDir dir_;
  testing::TempDir copy_;
  const std::string data_dir_ = dir_.path();
  testing::FakeClock clock_;
  std::unique_ptr<Store> store_;
};

TEST_F(SnapshotTest, OfAnEmptyStoreIsAnEmptyStore) {
  ASSERT_OK_AND_ASSIGN(const auto snapshot, store_->TakeSnapshot());
  EXPECT_THAT(snapshot->packs(), IsEmpty());
  ASSERT_OK(Copy(*snapshot, copy_.path()));
  ASSERT_OK_AND_ASSIGN(const auto copy, OpenStore(copy_.path()));
  EXPECT_THAT(copy->ListCheckpoints({})->checkpoints, IsEmpty());
}

TEST_F(SnapshotTest, ACopyIsAStoreWithAllThatWasThere) {
  const Tensors in_pack = PackOf(1);
  const Tensors in_catalog = {{"small", RandomBytes(500, 2)}};
  ASSERT_OK(store_->PutArchitecture(MakeArchitecture("Net", 3)).status());
  ASSERT_OK_AND_ASSIGN(const Checkpoint packed,
                       Save(*store_, in_pack,
                            {.labels = {{"team", "a"}},
                             .alias = MakeAlias("prod"),
                             .request_id = "r1"}));
  ASSERT_OK_AND_ASSIGN(const Checkpoint small, Save(*store_, in_catalog));
  ASSERT_OK_AND_ASSIGN(const auto snapshot, store_->TakeSnapshot());
  EXPECT_EQ(snapshot->time(), clock_.Now());
  EXPECT_THAT(snapshot->packs(), SizeIs(1));
  EXPECT_EQ(snapshot->packs()[0].num_bytes, PackBytes(data_dir_));
  ASSERT_OK(Copy(*snapshot, copy_.path()));

  ASSERT_OK_AND_ASSIGN(const auto copy, OpenStore(copy_.path()));
  EXPECT_OK(CheckReadable(*copy, packed.name, in_pack));
  EXPECT_OK(CheckReadable(*copy, small.name, in_catalog));
  EXPECT_THAT(copy->Resolve("aliases/prod"), IsOkAndHolds(packed.name));
  EXPECT_EQ(copy->GetCheckpoint(packed.name)->labels, packed.labels);
  EXPECT_THAT(copy->FindRequest("r1", Digest()),
              IsOkAndHolds(::testing::Optional(packed.name)));
  EXPECT_OK(copy->GetArchitecture(MakeArchitectureName("Net")).status());
  // No sequence is used again, so the copy lists what it gets next first.
  ASSERT_OK_AND_ASSIGN(const Checkpoint next, Save(*copy, PackOf(9)));
  EXPECT_EQ(copy->ListCheckpoints({})->checkpoints[0].name, next.name);
  EXPECT_OK(CheckDisk(copy_.path()));
}

TEST_F(SnapshotTest, TheCopyOfTheCatalogSaysWhatItIs) {
  ASSERT_OK_AND_ASSIGN(const auto snapshot, store_->TakeSnapshot());
  const std::string path = copy_.Join("catalog.sqlite3");
  WriteFile(path, snapshot->catalog());
  ASSERT_OK_AND_ASSIGN(const auto db, SqliteDb::Open(path));
  EXPECT_THAT(db->FindInt("PRAGMA application_id"),
              IsOkAndHolds(::testing::Optional(0x5741524D)));
  EXPECT_THAT(db->FindInt("PRAGMA user_version"),
              IsOkAndHolds(::testing::Optional(
                  static_cast<int64_t>(SqliteMigrations().size()))));
}

TEST_F(SnapshotTest, WhatComesAndGoesMeanwhileDoesNotTouchIt) {
  ASSERT_OK_AND_ASSIGN(const Checkpoint old, Save(*store_, PackOf(1)));
  const std::vector<std::string> packs = Packs();
  {
    ASSERT_OK_AND_ASSIGN(const auto snapshot, store_->TakeSnapshot());
    ASSERT_OK(store_->DeleteCheckpoint(old.name, /*force=*/false));
    ASSERT_OK_AND_ASSIGN(const Checkpoint late, Save(*store_, PackOf(2)));
    EXPECT_THAT(store_->GetCheckpoint(old.name),
                StatusIs(absl::StatusCode::kNotFound));
    ASSERT_OK(Copy(*snapshot, copy_.path()));
    ASSERT_OK_AND_ASSIGN(const auto copy, OpenStore(copy_.path()));
    EXPECT_OK(CheckReadable(*copy, old.name, PackOf(1)));
    EXPECT_THAT(copy->GetCheckpoint(late.name),
                StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(Packs(), SizeIs(2));
    EXPECT_THAT(Staged(), SizeIs(1));
  }
  // With it, all that it kept is gone.
  EXPECT_THAT(Packs(), SizeIs(1));
  EXPECT_NE(Packs(), packs);
  EXPECT_OK(CheckDisk(data_dir_));
}

TEST_F(SnapshotTest, SeveralKeepWhatEachOfThemHas) {
  ASSERT_OK_AND_ASSIGN(const Checkpoint first, Save(*store_, PackOf(1)));
  ASSERT_OK_AND_ASSIGN(auto early, store_->TakeSnapshot());
  ASSERT_OK(Save(*store_, PackOf(2)).status());
  ASSERT_OK_AND_ASSIGN(auto late, store_->TakeSnapshot());
  ASSERT_OK(store_->DeleteCheckpoint(first.name, /*force=*/false));
  early.reset();
  ASSERT_THAT(late->packs(), SizeIs(2));
  for (const SnapshotPack& pack : late->packs()) {
    EXPECT_OK(late->OpenPack(pack).status());
  }
  late.reset();
  EXPECT_THAT(Packs(), SizeIs(1));
  EXPECT_OK(CheckDisk(data_dir_));
}

TEST_F(SnapshotTest, APackThatIsGoneIsDataLossThatNamesIt) {
  ASSERT_OK(Save(*store_, PackOf(1)).status());
  ASSERT_OK_AND_ASSIGN(const auto snapshot, store_->TakeSnapshot());
  const SnapshotPack pack = snapshot->packs()[0];
  std::filesystem::remove(StorePaths(data_dir_).Pack(pack.name));
  EXPECT_THAT(snapshot->OpenPack(pack),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(pack.name)));
}

TEST_F(SnapshotTest, IsConsistentUnderLoad) {
  constexpr int kWriters = 3;
  std::atomic<bool> stop = false;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (uint32_t round = 0; !stop; ++round) {
        const auto saved =
            Save(*store_, PackOf(1000 * (writer + 1) + round % 7));
        ASSERT_OK(saved.status());
        if (round % 2 == 0) {
          ASSERT_OK(store_->DeleteCheckpoint(saved->name, /*force=*/false));
        }
      }
    });
  }
  const absl::Cleanup join = [&] {
    stop = true;
    for (std::thread& writer : writers) writer.join();
  };
  for (int round = 0; round < 10; ++round) {
    const Tensors tensors = PackOf(round);
    ASSERT_OK_AND_ASSIGN(const Checkpoint answered, Save(*store_, tensors));
    ASSERT_OK_AND_ASSIGN(const auto snapshot, store_->TakeSnapshot());
    ASSERT_OK(store_->DeleteCheckpoint(answered.name, /*force=*/false));
    const testing::TempDir to;
    ASSERT_OK(Copy(*snapshot, to.path()));
    ASSERT_OK_AND_ASSIGN(const auto copy, OpenStore(to.path()));
    EXPECT_OK(CheckReadable(*copy, answered.name, tensors));
    EXPECT_OK(CheckDisk(to.path()));
  }
}

}  // namespace
}  // namespace warmstart::store
