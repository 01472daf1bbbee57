// Collections, as a store's callers see them.

#include "server/store/maintenance/collector.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/composed_store.h"
#include "server/store/local/local_pack_store.h"
#include "server/store/local/paths.h"
#include "server/store/sqlite/sqlite_catalog.h"
#include "server/store/sqlite/sqlite_db.h"
#include "server/store/uploads/upload_store.h"
#include "tests/store/maintenance/interrupted_packs.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAreArray;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::StatusIs;

const CollectOptions kRewriteOnly = {.merge_below_bytes = 0};

// Two tensors that a pack has each, of which one is to go.
const std::string kStays = RandomBytes(140'000, 1);
const std::string kGoes = RandomBytes(300'000, 2);

class CollectorTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    store_.reset();
    StoreParts parts;
    parts.clock = &SystemClock();
    parts.catalog = OpenSqliteCatalog(paths_.Catalog()).value();
    auto packs = std::make_unique<InterruptedPacks>(
        OpenLocalPackStore(paths_, PosixFileSystem()).value());
    packs_ = packs.get();
    parts.packs = std::move(packs);
    parts.uploads =
        UploadStore::Open(paths_, PosixFileSystem(), parts.catalog->quota(),
                          SystemClock(), absl::Hours(1))
            .value();
    store_ = ComposeStore(std::move(parts)).value();
  }

  CheckpointName SaveOne(const Tensors& tensors) {
    return Save(*store_, tensors).value().name;
  }
  void Delete(const CheckpointName& name) {
    ASSERT_OK(store_->DeleteCheckpoint(name, /*force=*/false));
  }

  // A checkpoint of `tensors`, in a pack in which more than that is dead.
  CheckpointName MakeSparse(const Tensors& tensors) {
    Tensors all = tensors;
    all.emplace_back("goes", kGoes);
    const CheckpointName whole = SaveOne(all);
    const CheckpointName part = SaveReferences(*store_, tensors).value().name;
    Delete(whole);
    return part;
  }

  Collection Collect(const CollectOptions& options = {}) {
    const absl::StatusOr<Collection> collection =
        store_->CollectGarbage(options);
    EXPECT_OK(collection.status());
    return collection.value_or(Collection());
  }

  std::vector<std::string> Packs() const { return FilesIn(paths_.PacksDir()); }
  void FlipAByte(const std::string& pack, int64_t offset) {
    std::fstream file(paths_.Pack(pack),
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(offset);
    const char byte = static_cast<char>(file.get());
    file.seekp(offset);
    file.put(static_cast<char>(byte ^ 1));
  }
  void Change(const std::string& sql) {
    ASSERT_OK(SqliteDb::Open(paths_.Catalog()).value()->RunScript(sql));
  }

  testing::TempDir dir_;
  const StorePaths paths_{dir_.path()};
  InterruptedPacks* packs_ = nullptr;  // the store's
  std::unique_ptr<Store> store_;
};

TEST_F(CollectorTest, AnEmptyStoreHasNothingToCollect) {
  const Collection collection = Collect();
  EXPECT_EQ(collection.num_packs, 0);
  EXPECT_EQ(collection.num_written, 0);
  EXPECT_THAT(collection.packs, IsEmpty());
  EXPECT_GT(collection.catalog.num_bytes, 0);
}

TEST_F(CollectorTest, DeadBytesAreGivenBackAndLiveOnesStay) {
  const Tensors tensors = {{"stays", kStays}};
  const CheckpointName name = MakeSparse(tensors);
  const std::vector<std::string> before = Packs();
  ASSERT_THAT(before, SizeIs(1));
  EXPECT_GT(PackBytes(dir_.path()), 440'000);

  const Collection collection = Collect(kRewriteOnly);
  EXPECT_EQ(collection.num_packs, 1);
  EXPECT_EQ(collection.num_rewritten, 1);
  EXPECT_EQ(collection.num_written, 1);
  EXPECT_EQ(collection.live_bytes, 140'000);
  EXPECT_EQ(collection.written_bytes, 140'000);
  EXPECT_EQ(collection.removed_bytes, collection.num_bytes);
  ASSERT_THAT(collection.packs, SizeIs(1));
  EXPECT_EQ(collection.packs[0].id, before[0]);
  EXPECT_EQ(collection.packs[0].fate, PackFate::kRewritten);

  EXPECT_EQ(PackBytes(dir_.path()), 140'000);
  EXPECT_NE(Packs(), before);
  for (const bool reopened : {false, true}) {
    if (reopened) Open();
    EXPECT_OK(CheckReadable(*store_, name, tensors));
    EXPECT_OK(CheckDisk(dir_.path()));
  }
  Delete(name);
  EXPECT_THAT(Packs(), IsEmpty());
}

TEST_F(CollectorTest, ADryRunTellsTheSameAndChangesNothing) {
  MakeSparse({{"stays", kStays}});
  MakeSparse({{"a", RandomBytes(70'001, 3)}, {"b", RandomBytes(70'001, 4)}});
  SaveOne({{"live", RandomBytes(135'001, 5)}});
  std::ofstream(paths_.Pack(std::string(32, 'f'))) << "stray";
  const std::vector<std::string> before = Packs();
  for (const CollectOptions& options : {kRewriteOnly, CollectOptions()}) {
    CollectOptions dry = options;
    dry.dry_run = true;
    const Collection told = Collect(dry);
    EXPECT_EQ(Packs(), before);
    const int64_t bytes_before = PackBytes(dir_.path());
    if (options.merge_below_bytes == 0) {
      EXPECT_EQ(told.num_rewritten, 2);
    } else {
      EXPECT_EQ(told.num_merged, 3);
      const Collection done = Collect(options);
      EXPECT_EQ(told.num_packs, done.num_packs);
      EXPECT_EQ(told.num_bytes, done.num_bytes);
      EXPECT_EQ(told.live_bytes, done.live_bytes);
      EXPECT_EQ(told.num_rewritten, done.num_rewritten);
      EXPECT_EQ(told.num_merged, done.num_merged);
      EXPECT_EQ(told.num_strays, done.num_strays);
      EXPECT_EQ(told.num_written, done.num_written);
      EXPECT_EQ(told.written_bytes, done.written_bytes);
      EXPECT_EQ(told.removed_bytes, done.removed_bytes);
      EXPECT_EQ(bytes_before - PackBytes(dir_.path()),
                done.removed_bytes - done.written_bytes);
    }
  }
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(CollectorTest, WhatWasCollectedOnceIsLeftTheNextTime) {
  const CheckpointName name = MakeSparse({{"stays", kStays}});
  SaveOne({{"a", RandomBytes(135'000, 3)}});
  Collect();
  const std::vector<std::string> packs = Packs();
  EXPECT_THAT(packs, SizeIs(1));
  EXPECT_EQ(Collect({.min_live_share = 1}).num_written, 0);
  EXPECT_EQ(Packs(), packs);
  EXPECT_OK(CheckReadable(*store_, name, {{"stays", kStays}}));
}

TEST_F(CollectorTest, BlobsThatOverlapGoOnSharingTheirBytes) {
  // A storage and two tensors in it, and dead bytes around it.
  const std::string storage = RandomBytes(150'000, 7);
  const Tensors views = {{"storage", storage},
                         {"head", storage.substr(0, 100'000)},
                         {"tail", storage.substr(50'000)}};
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK_AND_ASSIGN(StagedFile * file, draft->NewFile());
  ASSERT_OK(file->Append(kGoes));
  ASSERT_OK(file->Append(storage));
  draft->AddBlob(file, 0, BlobOf(kGoes));
  draft->AddBlob(file, 300'000, BlobOf(views[0].second));
  draft->AddBlob(file, 300'000, BlobOf(views[1].second));
  draft->AddBlob(file, 350'000, BlobOf(views[2].second));
  Tensors all = views;
  all.emplace_back("goes", kGoes);
  NewCheckpoint request;
  request.manifest = ManifestOf(all);
  ASSERT_OK_AND_ASSIGN(const Checkpoint whole, draft->Commit(request));
  ASSERT_OK_AND_ASSIGN(const Checkpoint part, SaveReferences(*store_, views));
  Delete(whole.name);

  EXPECT_EQ(Collect().live_bytes, 150'000);
  EXPECT_EQ(PackBytes(dir_.path()), 150'000);
  EXPECT_OK(CheckReadable(*store_, part.name, views));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(CollectorTest, SmallPacksBecomeOne) {
  std::vector<CheckpointName> names;
  std::vector<Tensors> tensors;
  for (int i = 0; i < 5; ++i) {
    tensors.push_back({{"w", RandomBytes(135'000 + i, 10 + i)}});
    names.push_back(SaveOne(tensors.back()));
  }
  const Collection collection = Collect();
  EXPECT_EQ(collection.num_merged, 5);
  EXPECT_EQ(collection.num_written, 1);
  EXPECT_THAT(Packs(), SizeIs(1));
  for (int i = 0; i < 5; ++i) {
    EXPECT_OK(CheckReadable(*store_, names[i], tensors[i]));
  }
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(CollectorTest, WhatIsHeldStaysReadable) {
  MakeSparse({{"stays", kStays}});
  ASSERT_OK_AND_ASSIGN(const BlobData held,
                       store_->OpenBlob(Digest::Of(kStays)));
  EXPECT_EQ(Collect().num_rewritten, 1);
  EXPECT_EQ(held.bytes, kStays);
}

TEST_F(CollectorTest, AReadThatFindsItsPackGoneFindsTheFreshOne) {
  MakeSparse({{"stays", kStays}});
  packs_->before_read = [&] { EXPECT_EQ(Collect().num_rewritten, 1); };
  ASSERT_OK_AND_ASSIGN(const BlobData data,
                       store_->OpenBlob(Digest::Of(kStays)));
  EXPECT_EQ(data.bytes, kStays);
}

TEST_F(CollectorTest, WhatIsReadFromAFreshPackIsVerified) {
  MakeSparse({{"stays", kStays}});
  ASSERT_OK(store_->OpenBlob(Digest::Of(kStays)));
  Collect();
  ASSERT_THAT(Packs(), SizeIs(1));
  FlipAByte(Packs()[0], 7);
  EXPECT_THAT(store_->OpenBlob(Digest::Of(kStays)),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(CollectorTest, WhatGoesWhileItIsCopiedLeavesNothing) {
  const CheckpointName name = MakeSparse({{"stays", kStays}});
  packs_->after_flush = [&] { Delete(name); };
  const Collection collection = Collect();
  EXPECT_EQ(collection.num_rewritten, 0);
  EXPECT_EQ(collection.num_written, 0);
  EXPECT_EQ(collection.removed_bytes, 0);
  EXPECT_THAT(Packs(), IsEmpty());
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(CollectorTest, WhatGoesBeforeItIsCopiedLeavesNothing) {
  const CheckpointName name = MakeSparse({{"stays", kStays}});
  packs_->before_scan = [&] { Delete(name); };
  const Collection collection = Collect();
  EXPECT_EQ(collection.num_damaged, 0);
  EXPECT_EQ(collection.num_written, 0);
  EXPECT_THAT(Packs(), IsEmpty());
}

TEST_F(CollectorTest, WhatGoesAndComesAnewWhileItIsCopiedStaysWhereItCame) {
  const CheckpointName name = MakeSparse({{"stays", kStays}});
  CheckpointName again;
  packs_->after_flush = [&] {
    Delete(name);
    again = SaveOne({{"stays", kStays}});
  };
  EXPECT_EQ(Collect().num_written, 0);
  EXPECT_OK(CheckReadable(*store_, again, {{"stays", kStays}}));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(CollectorTest, APartThatGoesWhileItIsCopiedIsNotBroughtBack) {
  const Tensors both = {{"a", RandomBytes(60'000, 3)},
                        {"b", RandomBytes(80'000, 4)}};
  const CheckpointName name = MakeSparse(both);
  ASSERT_OK_AND_ASSIGN(const Checkpoint a, SaveReferences(*store_, {both[0]}));
  packs_->after_flush = [&] { Delete(name); };
  EXPECT_EQ(Collect().num_rewritten, 1);
  EXPECT_OK(CheckReadable(*store_, a.name, {both[0]}));
  EXPECT_THAT(store_->GetBlob(Digest::Of(both[1].second)),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(CollectorTest, ACommitThatRefersToWhatIsMovedIsDone) {
  MakeSparse({{"stays", kStays}});
  CheckpointName derived;
  packs_->after_flush = [&] {
    derived = SaveReferences(*store_, {{"stays", kStays}}).value().name;
  };
  EXPECT_EQ(Collect().num_rewritten, 1);
  // Once more, with what the catalog remembers of the blob's row.
  ASSERT_OK_AND_ASSIGN(const Checkpoint after,
                       SaveReferences(*store_, {{"stays", kStays}}));
  EXPECT_OK(CheckReadable(*store_, derived, {{"stays", kStays}}));
  EXPECT_OK(CheckReadable(*store_, after.name, {{"stays", kStays}}));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(CollectorTest, APackThatIsDamagedIsLeftAndTold) {
  const CheckpointName name = MakeSparse({{"stays", kStays}});
  const std::string damaged = Packs()[0];
  const Tensors others[] = {{{"a", RandomBytes(135'000, 3)}},
                            {{"b", RandomBytes(135'000, 4)}}};
  const CheckpointName a = SaveOne(others[0]);
  const CheckpointName b = SaveOne(others[1]);
  FlipAByte(damaged, 7);

  const Collection collection = Collect();
  EXPECT_EQ(collection.num_damaged, 1);
  EXPECT_EQ(collection.num_merged, 2);
  EXPECT_EQ(collection.packs[0].id, damaged);
  EXPECT_EQ(collection.packs[0].fate, PackFate::kDamaged);
  EXPECT_THAT(Packs(), SizeIs(2));
  EXPECT_OK(CheckReadable(*store_, a, others[0]));
  EXPECT_OK(CheckReadable(*store_, b, others[1]));

  // A disk that gives other bytes may give the right ones the next time.
  FlipAByte(damaged, 7);
  EXPECT_OK(CheckReadable(*store_, name, {{"stays", kStays}}));
  EXPECT_EQ(Collect().num_merged, 2);
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(CollectorTest, WhereAllIsDamagedNothingIsWritten) {
  MakeSparse({{"stays", kStays}});
  const std::vector<std::string> before = Packs();
  FlipAByte(before[0], 7);
  const Collection collection = Collect();
  EXPECT_EQ(collection.num_damaged, 1);
  EXPECT_EQ(collection.num_written, 0);
  EXPECT_EQ(Packs(), before);
  EXPECT_THAT(FilesIn(paths_.StagingDir()), IsEmpty());
}

TEST_F(CollectorTest, APackThatIsGoneOrCutIsTold) {
  MakeSparse({{"stays", kStays}});
  const std::string pack = paths_.Pack(Packs()[0]);
  std::filesystem::resize_file(pack, 1000);
  EXPECT_EQ(Collect().num_damaged, 1);
  std::filesystem::remove(pack);
  EXPECT_EQ(Collect().num_damaged, 1);
}

TEST_F(CollectorTest, APackThatIsKnownToBeDamagedIsNotRead) {
  MakeSparse({{"stays", kStays}});
  const std::vector<std::string> before = Packs();
  Change("UPDATE blobs SET damage_time = 1 WHERE pack IS NOT NULL");
  packs_->before_scan = [] { ADD_FAILURE(); };
  EXPECT_EQ(Collect({.dry_run = true}).num_damaged, 1);
  EXPECT_EQ(Collect().num_damaged, 1);
  EXPECT_EQ(Packs(), before);
}

TEST_F(CollectorTest, WhatIsFoundToBeDamagedWhileItIsCopiedStays) {
  const CheckpointName name = MakeSparse({{"stays", kStays}});
  const std::vector<std::string> before = Packs();
  packs_->after_flush = [&] {
    Change("UPDATE blobs SET damage_time = 1 WHERE pack IS NOT NULL");
  };
  EXPECT_EQ(Collect().num_written, 0);
  EXPECT_EQ(Packs(), before);
  // A mistake: it is intact.
  Change("UPDATE blobs SET damage_time = NULL");
  EXPECT_OK(CheckReadable(*store_, name, {{"stays", kStays}}));
}

TEST_F(CollectorTest, ItIsCancelledBetweenPacks) {
  MakeSparse({{"stays", kStays}});
  MakeSparse({{"other", RandomBytes(140'000, 3)}});
  CollectOptions options = kRewriteOnly;
  int num_asked = 0;
  options.is_cancelled = [&] { return ++num_asked > 1; };
  EXPECT_THAT(store_->CollectGarbage(options),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(Collect(kRewriteOnly).num_rewritten, 1);
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(CollectorTest, OneIsUnderWayAtATime) {
  MakeSparse({{"stays", kStays}});
  packs_->after_flush = [&] {
    EXPECT_THAT(store_->CollectGarbage({}),
                StatusIs(absl::StatusCode::kAborted, HasSubstr("under way")));
    EXPECT_THAT(store_->CollectGarbage({.dry_run = true}), IsOk());
  };
  EXPECT_EQ(Collect().num_rewritten, 1);
  EXPECT_THAT(store_->CollectGarbage({}), IsOk());
}

TEST_F(CollectorTest, FilesThatNobodyReferencesAreRemoved) {
  SaveOne({{"w", RandomBytes(135'000, 3)}});
  std::vector<std::string> kept = Packs();
  const std::string stray(32, 'f');
  std::ofstream(paths_.Pack(stray)) << "12345";
  std::ofstream(paths_.PacksDir() + "/README") << "somebody else's";
  kept.push_back("README");

  const Collection told = Collect({.dry_run = true});
  EXPECT_EQ(told.num_strays, 1);
  EXPECT_THAT(Packs(), SizeIs(3));
  const Collection done = Collect();
  EXPECT_EQ(done.num_strays, 1);
  EXPECT_EQ(done.removed_bytes, 5);
  ASSERT_THAT(done.packs, SizeIs(1));
  EXPECT_EQ(done.packs[0].id, stray);
  EXPECT_EQ(done.packs[0].fate, PackFate::kStray);
  EXPECT_THAT(Packs(), UnorderedElementsAreArray(kept));
}

TEST_F(CollectorTest, WhatACommitIsAboutToNameIsNoStray) {
  // More than is published beside the catalog's rows.
  const Tensors large = {{"w", RandomBytes(1'100'000, 3)}};
  packs_->after_flush = [&] {
    EXPECT_THAT(Packs(), SizeIs(1));
    EXPECT_EQ(Collect({.dry_run = true}).num_strays, 0);
    EXPECT_EQ(Collect().num_strays, 0);
  };
  const CheckpointName name = SaveOne(large);
  EXPECT_OK(CheckReadable(*store_, name, large));
}

TEST_F(CollectorTest, FreePagesOfTheCatalogAreTold) {
  const Tensors small = {{"w", RandomBytes(100'000, 3)}};
  const CheckpointName name = SaveOne(small);
  EXPECT_EQ(Collect().catalog.free_bytes, 0);
  Delete(name);
  const CatalogSpace space = Collect().catalog;
  EXPECT_GT(space.free_bytes, 90'000);
  EXPECT_GT(space.num_bytes, space.free_bytes);
}

}  // namespace
}  // namespace warmstart::store
