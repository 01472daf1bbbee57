// The order of a commit, and what becomes of staged files. What a client sees
// of drafts is in store_test.cc; what crashes do to them in
// store_fault_test.cc.

#include "server/store/draft.h"

#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/composed_store.h"
#include "server/store/local/local_pack_store.h"
#include "server/store/local/paths.h"
#include "server/store/placement.h"
#include "server/store/sqlite/sqlite_catalog.h"
#include "tests/store/interrupted_catalog.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

class DraftTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    store_.reset();
    auto catalog = std::make_unique<InterruptedCatalog>(
        OpenSqliteCatalog(paths_.Catalog()).value());
    catalog_ = catalog.get();
    StoreParts parts;
    parts.packs = OpenLocalPackStore(paths_, file_system_).value();
    parts.catalog = std::move(catalog);
    parts.uploads = UploadStore::Open(paths_, file_system_, catalog_->quota(),
                                      SystemClock(), absl::Hours(24))
                        .value();
    parts.clock = &SystemClock();
    store_ = ComposeStore(std::move(parts)).value();
  }

  std::vector<std::string> Packs() const { return FilesIn(paths_.PacksDir()); }

  // The inodes of the files in a folder.
  static std::vector<ino_t> Inodes(const std::string& directory) {
    std::vector<ino_t> inodes;
    for (const std::string& name : FilesIn(directory)) {
      struct stat info;
      EXPECT_EQ(::stat((directory + "/" + name).c_str(), &info), 0);
      inodes.push_back(info.st_ino);
    }
    return inodes;
  }

  testing::TempDir dir_;
  testing::FaultyFileSystem file_system_{PosixFileSystem()};
  StorePaths paths_{dir_.path()};
  std::unique_ptr<Store> store_;
  InterruptedCatalog* catalog_ = nullptr;  // store_'s
};

// Each is too much for the catalog.
const Tensors kOld = {{"old", RandomBytes(140'000, 1)}};
const Tensors kNew = {{"new", RandomBytes(140'000, 2)}};
const Tensors kBig = {{"big", RandomBytes(1'000'000, 3)}};
// This is not.
const Tensors kTiny = {{"tiny", RandomBytes(1000, 4)},
                       {"tinier", RandomBytes(10, 5)}};

Tensors Concat(Tensors a, const Tensors& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST_F(DraftTest, AFileOfNewTensorsIsAdoptedWhereItStands) {
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK(StageFile(*draft, kBig).status());
  const std::vector<ino_t> staged = Inodes(paths_.StagingDir());
  ASSERT_THAT(staged, SizeIs(1));
  ASSERT_OK(draft->Commit({.manifest = ManifestOf(kBig)}).status());
  EXPECT_EQ(Inodes(paths_.PacksDir()), staged);
  EXPECT_EQ(PackBytes(dir_.path()), 1'000'000);
  EXPECT_THAT(FilesIn(paths_.StagingDir()), IsEmpty());
}

TEST_F(DraftTest, AFileThatIsMostlyKnownIsCopiedFrom) {
  ASSERT_OK(Save(*store_, kBig).status());
  const Tensors tensors = Concat(kBig, Concat(kOld, kNew));
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint, Save(*store_, tensors));
  // 140'000 bytes, padding to 140'032, and as many more; nothing of what was
  // known.
  EXPECT_EQ(PackBytes(dir_.path()), 1'000'000 + 140'032 + 140'000);
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, tensors));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, AFileOfKnownTensorsIsDropped) {
  ASSERT_OK(Save(*store_, kBig).status());
  const std::vector<std::string> packs = Packs();
  ASSERT_OK(Save(*store_, kBig).status());
  EXPECT_EQ(Packs(), packs);
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, HalfOfAFileIsEnoughToAdoptIt) {
  const Tensors half = {{"a", RandomBytes(204'800, 1)}};
  ASSERT_OK(Save(*store_, half).status());
  ASSERT_OK(
      Save(*store_, Concat(half, {{"b", RandomBytes(204'800, 2)}})).status());
  EXPECT_EQ(PackBytes(dir_.path()), 204'800 + 409'600);
}

TEST_F(DraftTest, OverlappingBlobsCountTheirBytesOnce) {
  // Two views that cover the same 200'000 of 500'000 bytes are no half of the
  // file.
  const std::string bytes = RandomBytes(500'000, 4);
  const std::string view(bytes.substr(0, 200'000));
  const std::string inner(bytes.substr(10, 140'000));
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK_AND_ASSIGN(StagedFile* const file, draft->NewFile());
  ASSERT_OK(file->Append(bytes));
  ASSERT_OK(file->Finish().status());
  draft->AddBlob(file, 0, BlobOf(view));
  draft->AddBlob(file, 10, BlobOf(inner));
  const Tensors tensors = {{"a", view}, {"b", inner}};
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint,
                       draft->Commit({.manifest = ManifestOf(tensors)}));
  // Copied, and as one.
  EXPECT_EQ(PackBytes(dir_.path()), 200'000);
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, tensors));
}

TEST_F(DraftTest, ATensorInTwoFilesIsKeptOnce) {
  {
    const std::unique_ptr<Draft> draft = store_->NewDraft();
    ASSERT_OK(StageFile(*draft, kBig).status());
    ASSERT_OK(StageFile(*draft, kBig).status());
    ASSERT_OK(draft->Commit({.manifest = ManifestOf(kBig)}).status());
  }
  EXPECT_EQ(PackBytes(dir_.path()), 1'000'000);
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, ATensorThatTheManifestDoesNotNameIsNotKept) {
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK(StageFile(*draft, Concat(kBig, kNew)).status());
  ASSERT_OK(draft->Commit({.manifest = ManifestOf(kNew)}).status());
  EXPECT_EQ(PackBytes(dir_.path()), 140'000);
  EXPECT_THAT(store_->GetBlob(Digest::Of(kBig[0].second)),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(DraftTest, ScratchBecomesAPackInPlace) {
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK_AND_ASSIGN(const absl::Span<char> space,
                       draft->NewScratch(140'000));
  const std::vector<ino_t> staged = Inodes(paths_.StagingDir());
  draft->StartSync();
  std::copy(kNew[0].second.begin(), kNew[0].second.end(), space.begin());
  draft->AddBlob(nullptr, 0, BlobOf(kNew[0].second));
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint,
                       draft->Commit({.manifest = ManifestOf(kNew)}));
  EXPECT_EQ(Inodes(paths_.PacksDir()), staged);
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, kNew));
}

TEST_F(DraftTest, ScratchThatIsHardlyUsedIsCopiedFrom) {
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK_AND_ASSIGN(const absl::Span<char> space,
                       draft->NewScratch(1 << 20));
  std::copy(kNew[0].second.begin(), kNew[0].second.end(), space.begin() + 512);
  draft->AddBlob(nullptr, 512, BlobOf(kNew[0].second));
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint,
                       draft->Commit({.manifest = ManifestOf(kNew)}));
  EXPECT_EQ(PackBytes(dir_.path()), 140'000);
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, kNew));
}

TEST_F(DraftTest, FilesAndScratchGoTogether) {
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK(StageFile(*draft, kBig).status());
  ASSERT_OK_AND_ASSIGN(const absl::Span<char> space,
                       draft->NewScratch(140'000));
  std::copy(kNew[0].second.begin(), kNew[0].second.end(), space.begin());
  draft->AddBlob(nullptr, 0, BlobOf(kNew[0].second));
  draft->StartSync();
  const Tensors tensors = Concat(kBig, kNew);
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint,
                       draft->Commit({.manifest = ManifestOf(tensors)}));
  EXPECT_THAT(Packs(), SizeIs(2));
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, tensors));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, WhatIsSmallTogetherGoesIntoTheCatalog) {
  std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK(StageFile(*draft, kTiny).status());
  ASSERT_OK_AND_ASSIGN(const absl::Span<char> space, draft->NewScratch(100));
  EXPECT_THAT(FilesIn(paths_.StagingDir()), SizeIs(1));  // the space is memory
  EXPECT_THAT(space, Each(0));
  const std::string fresh = RandomBytes(30, 6);
  std::copy(fresh.begin(), fresh.end(), space.begin() + 64);
  draft->AddBlob(nullptr, 64, BlobOf(fresh));
  draft->StartSync();
  const Tensors tensors = Concat(kTiny, {{"fresh", fresh}});
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint,
                       draft->Commit({.manifest = ManifestOf(tensors)}));
  EXPECT_THAT(Packs(), IsEmpty());
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, tensors));
  draft.reset();
  Open();
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, tensors));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, TheBoundIsOnAllNewBytesTogether) {
  const int64_t half = kMaxSmallBytes / 2;
  ASSERT_OK(
      Save(*store_, {{"a", RandomBytes(half, 1)}, {"b", RandomBytes(half, 2)}})
          .status());
  EXPECT_THAT(Packs(), IsEmpty());
  ASSERT_OK(Save(*store_,
                 {{"a", RandomBytes(half, 3)}, {"b", RandomBytes(half + 1, 4)}})
                .status());
  EXPECT_EQ(PackBytes(dir_.path()), kMaxSmallBytes + 1);
  // What the store holds is not counted.
  ASSERT_OK(Save(*store_, Concat(kBig, kTiny)).status());
  ASSERT_OK(
      Save(*store_, Concat(kBig, {{"new", RandomBytes(10, 7)}})).status());
  EXPECT_THAT(Packs(), SizeIs(2));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, SmallScratchBesideALargeFileIsCopiedToAPack) {
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK(StageFile(*draft, kBig).status());
  const std::string& bytes = kTiny[0].second;
  ASSERT_OK_AND_ASSIGN(const absl::Span<char> space,
                       draft->NewScratch(static_cast<int64_t>(bytes.size())));
  std::copy(bytes.begin(), bytes.end(), space.begin());
  draft->AddBlob(nullptr, 0, BlobOf(bytes));
  const Tensors tensors = Concat(kBig, {kTiny[0]});
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint,
                       draft->Commit({.manifest = ManifestOf(tensors)}));
  EXPECT_EQ(PackBytes(dir_.path()), 1'000'000 + 1000);
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, tensors));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, ASmallTensorInTwoFilesIsKeptOnce) {
  std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK(StageFile(*draft, kTiny).status());
  ASSERT_OK(StageFile(*draft, kTiny).status());
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint,
                       draft->Commit({.manifest = ManifestOf(kTiny)}));
  draft.reset();
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, kTiny));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, ASmallTensorThatIsDeletedMeanwhileIsPlacedAgain) {
  ASSERT_OK_AND_ASSIGN(const Checkpoint source, Save(*store_, kTiny));
  int commits = 0;
  catalog_->before_commit = [&] {
    if (++commits > 1) return;
    ASSERT_OK(store_->DeleteCheckpoint(source.name, false));
  };
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint, Save(*store_, kTiny));
  EXPECT_EQ(commits, 2);
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, kTiny));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, ASecondScratchIsRefused) {
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK(draft->NewScratch(10).status());
  EXPECT_THAT(draft->NewScratch(10),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(DraftTest, ABlobOutsideItsFileIsRefused) {
  for (const auto& [offset, num_bytes] :
       std::vector<std::pair<int64_t, int64_t>>{
           {-1, 1}, {0, 5}, {5, 1}, {1, INT64_MAX}, {0, -1}}) {
    const std::unique_ptr<Draft> draft = store_->NewDraft();
    ASSERT_OK_AND_ASSIGN(StagedFile* const file, draft->NewFile());
    ASSERT_OK(file->Append("1234"));
    draft->AddBlob(file, offset, {.num_bytes = num_bytes});
    EXPECT_THAT(draft->Commit({}),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_F(DraftTest, ABlobInNoFileIsRefused) {
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  draft->AddBlob(nullptr, 0, BlobOf("1"));
  EXPECT_THAT(draft->Commit({}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(DraftTest, ADraftIsCommittedOnce) {
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK(draft->Commit({}).status());
  EXPECT_THAT(draft->Commit({}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(DraftTest, ADroppedDraftLeavesNothing) {
  {
    const std::unique_ptr<Draft> draft = store_->NewDraft();
    ASSERT_OK(StageFile(*draft, kBig).status());
    ASSERT_OK(draft->NewScratch(140'000).status());
    draft->StartSync();
    EXPECT_THAT(FilesIn(paths_.StagingDir()), SizeIs(2));
  }
  EXPECT_THAT(FilesIn(paths_.StagingDir()), IsEmpty());
}

TEST_F(DraftTest, ATensorThatIsDeletedMeanwhileIsAborted) {
  ASSERT_OK_AND_ASSIGN(const Checkpoint source, Save(*store_, kOld));
  catalog_->before_commit = [&] {
    store_->DeleteCheckpoint(source.name, false).IgnoreError();
  };
  // The new tensor's file was published by then; it goes again.
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK(StageFile(*draft, kNew).status());
  EXPECT_THAT(draft->Commit({.manifest = ManifestOf(Concat(kOld, kNew))}),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(Packs(), IsEmpty());
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, ATensorThatIsDeletedMeanwhileButWasUploadedToo) {
  // In a file that is adopted: its own copy takes over.
  ASSERT_OK_AND_ASSIGN(Checkpoint source, Save(*store_, kOld));
  catalog_->before_commit = [&] {
    store_->DeleteCheckpoint(source.name, false).IgnoreError();
  };
  Tensors tensors = Concat(kOld, kBig);
  ASSERT_OK_AND_ASSIGN(Checkpoint checkpoint, Save(*store_, tensors));
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, tensors));
  EXPECT_OK(CheckDisk(dir_.path()));

  // In a file that is copied from: it is placed again.
  catalog_->before_commit = [] {};
  ASSERT_OK(store_->DeleteCheckpoint(checkpoint.name, false));
  ASSERT_OK_AND_ASSIGN(source, Save(*store_, kOld));
  ASSERT_OK(Save(*store_, kBig).status());
  int commits = 0;
  catalog_->before_commit = [&] {
    if (++commits > 1) return;
    ASSERT_OK(store_->DeleteCheckpoint(source.name, false));
  };
  tensors = Concat(Concat(kOld, kBig), kNew);
  ASSERT_OK_AND_ASSIGN(checkpoint, Save(*store_, tensors));
  EXPECT_EQ(commits, 2);
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, tensors));
  EXPECT_OK(CheckDisk(dir_.path()));
}

// However often what was found in the store is gone in the end.
TEST_F(DraftTest, WhatIsUploadedDependsOnNobodyInTheEnd) {
  for (const Tensors& each : {kTiny, kOld}) {
    Tensors tensors;
    std::vector<CheckpointName> others;
    catalog_->before_commit = [] {};
    for (int i = 0; i < 10; ++i) {
      tensors.emplace_back(absl::StrCat("t", i), each[0].second + "x");
      tensors.back().second[0] = static_cast<char>(i);
      ASSERT_OK_AND_ASSIGN(const Checkpoint other,
                           Save(*store_, {tensors.back()}));
      others.push_back(other.name);
    }
    catalog_->before_commit = [&] {
      ASSERT_FALSE(others.empty());
      ASSERT_OK(store_->DeleteCheckpoint(others.back(), false));
      others.pop_back();
    };
    ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint, Save(*store_, tensors));
    EXPECT_EQ(others.size(), 7);
    EXPECT_OK(CheckReadable(*store_, checkpoint.name, tensors));
    EXPECT_OK(CheckDisk(dir_.path()));
  }
}

TEST_F(DraftTest, ATensorThatIsFoundToBeDamagedMeanwhileIsPlacedAgain) {
  ASSERT_OK(Save(*store_, kOld).status());
  ASSERT_OK(Save(*store_, kBig).status());
  const Digest digest = Digest::Of(kOld[0].second);
  const BlobLocation location =
      catalog_->FindBlobs({&digest, 1}).value()[0].value();
  int commits = 0;
  catalog_->before_commit = [&] {
    if (++commits > 1) return;
    ASSERT_OK(catalog_->MarkDamaged({&location, 1}, absl::Now()).status());
  };
  // Of the file, the new tensor alone was to be copied.
  const Tensors tensors = Concat(Concat(kOld, kBig), kNew);
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint, Save(*store_, tensors));
  EXPECT_EQ(commits, 2);
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, tensors));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, TheSecondOfTwoEqualSavesLeavesNoPack) {
  Checkpoint other;
  bool first = true;
  catalog_->before_commit = [&] {
    if (!std::exchange(first, false)) return;
    ASSERT_OK_AND_ASSIGN(other, Save(*store_, kBig));
  };
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint, Save(*store_, kBig));
  EXPECT_NE(checkpoint.name, other.name);
  EXPECT_THAT(Packs(), SizeIs(1));
  EXPECT_OK(CheckReadable(*store_, checkpoint.name, kBig));
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, TheSecondOfTwoEqualRequestsGetsTheFirst) {
  const NewCheckpoint request = {.request_id = "r1"};
  Checkpoint other;
  bool first = true;
  catalog_->before_commit = [&] {
    if (!std::exchange(first, false)) return;
    ASSERT_OK_AND_ASSIGN(other, Save(*store_, kOld, request));
  };
  ASSERT_OK_AND_ASSIGN(const Checkpoint checkpoint,
                       Save(*store_, kBig, request));
  EXPECT_EQ(checkpoint.name, other.name);
  EXPECT_EQ(PackBytes(dir_.path()), 140'000);
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(DraftTest, ACommitThatTheCatalogRefusesLeavesNoPack) {
  catalog_->answer = absl::ResourceExhaustedError("full");
  catalog_->commits = false;
  EXPECT_THAT(Save(*store_, kBig),
              StatusIs(absl::StatusCode::kResourceExhausted, "full"));
  EXPECT_THAT(Packs(), IsEmpty());
  EXPECT_THAT(FilesIn(paths_.StagingDir()), IsEmpty());
}

TEST_F(DraftTest, ACommitWithAnUnknownOutcomeKeepsItsPackUntilTheNextStart) {
  // The catalog's disk failed after the transaction had reached it...
  catalog_->answer = absl::InternalError("EIO");
  catalog_->commits = true;
  EXPECT_THAT(Save(*store_, kBig), StatusIs(absl::StatusCode::kInternal));
  Open();
  EXPECT_OK(CheckDisk(dir_.path()));
  ASSERT_OK_AND_ASSIGN(const CheckpointPage page, store_->ListCheckpoints({}));
  ASSERT_THAT(page.checkpoints, SizeIs(1));
  EXPECT_OK(CheckReadable(*store_, page.checkpoints[0].name, kBig));

  // ... or before.
  catalog_->answer = absl::InternalError("EIO");
  catalog_->commits = false;
  EXPECT_THAT(Save(*store_, kOld), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(Packs(), SizeIs(2));
  Open();
  EXPECT_THAT(Packs(), SizeIs(1));
  EXPECT_OK(CheckDisk(dir_.path()));
}

}  // namespace
}  // namespace warmstart::store
