// The store on a file system that fails, or ends, at every step in turn. Each
// time, what was answered must be there, what was not must be absent, and
// nothing may be left that nobody references.

#include <algorithm>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/local/paths.h"
#include "server/store/store.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::IsEmpty;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::StatusIs;

// More steps than any operation here takes; a bound on the loops.
constexpr int kManySteps = 200;

const Tensors kKnown = {{"known", RandomBytes(500'000, 1)}};

// A checkpoint from three sources.
struct Sources {
  Tensors all() const {
    Tensors tensors = file;
    tensors.push_back(scratch);
    tensors.insert(tensors.end(), mostly_known.begin(), mostly_known.end());
    return tensors;
  }

  std::string name;  // of what becomes of them
  Tensors file;
  Tensors mostly_known;  // so that what is new is copied
  Tensors::value_type scratch;
  int least_steps;  // that a save takes
};

const Sources kPacks = {
    "Packs",
    {{"a", RandomBytes(200'000, 2)}, {"b", RandomBytes(70, 3)}},
    {kKnown[0], {"c", RandomBytes(300, 5)}},
    {"head", RandomBytes(140'000, 4)},
    15};
// All that is new goes into the catalog.
const Sources kRows = {
    "Rows",
    {{"a", RandomBytes(20'000, 2)}, {"b", RandomBytes(70, 3)}},
    {kKnown[0], {"c", RandomBytes(300, 5)}},
    {"head", RandomBytes(4096, 4)},
    8};

class StoreFaultTest : public ::testing::TestWithParam<Sources> {
 protected:
  static absl::StatusOr<Checkpoint> SaveAll(Store& store) {
    const Sources& sources = GetParam();
    const std::unique_ptr<Draft> draft = store.NewDraft();
    for (const Tensors& tensors : {sources.file, sources.mostly_known}) {
      const auto file = StageFile(*draft, tensors);
      if (!file.ok()) return file.status();
    }
    const std::string& bytes = sources.scratch.second;
    const auto space = draft->NewScratch(static_cast<int64_t>(bytes.size()));
    if (!space.ok()) return space.status();
    draft->StartSync();
    std::copy(bytes.begin(), bytes.end(), space->begin());
    draft->AddBlob(nullptr, 0, BlobOf(bytes));
    return draft->Commit({.manifest = ManifestOf(sources.all()),
                          .alias = MakeAlias("all"),
                          .request_id = "r1"});
  }

  // A fresh folder with one checkpoint of kKnown, and a store on the file
  // system that fails.
  void Start() {
    store_.reset();
    file_system_.Heal();
    dir_ = std::make_unique<testing::TempDir>();
    ASSERT_OK_AND_ASSIGN(store_, OpenStore(dir_->path(), file_system_));
    ASSERT_OK_AND_ASSIGN(const Checkpoint known, Save(*store_, kKnown));
    known_ = known.name;
  }

  // As a new process would, after the old one ended.
  void Restart() {
    store_.reset();
    ASSERT_OK_AND_ASSIGN(store_, OpenStore(dir_->path()));
  }

  // Whether the checkpoint of SaveAll is there; all of it or nothing.
  bool IsSaved() {
    const auto name = store_->Resolve("aliases/all");
    const auto request = store_->FindRequest("r1", Digest());
    EXPECT_THAT(request, IsOk());
    EXPECT_EQ(name.ok(), request->has_value());
    EXPECT_EQ(store_->ListCheckpoints({})->checkpoints.size(),
              name.ok() ? 2 : 1);
    if (!name.ok()) {
      EXPECT_THAT(name, StatusIs(absl::StatusCode::kNotFound));
      return false;
    }
    EXPECT_OK(CheckReadable(*store_, *name, GetParam().all()));
    return true;
  }

  void ExpectStillWorks() {
    EXPECT_OK(CheckDisk(dir_->path()));
    EXPECT_OK(CheckReadable(*store_, known_, kKnown));
    ASSERT_OK_AND_ASSIGN(const Checkpoint again, SaveAll(*store_));
    EXPECT_OK(CheckReadable(*store_, again.name, GetParam().all()));
    EXPECT_OK(store_->DeleteCheckpoint(again.name, true));
    EXPECT_OK(CheckDisk(dir_->path()));
  }

  testing::FaultyFileSystem file_system_{PosixFileSystem()};
  std::unique_ptr<testing::TempDir> dir_;
  std::unique_ptr<Store> store_;
  CheckpointName known_;
};

// Deleting what the catalog keeps takes no step of the file system.
class StorePackFaultTest : public StoreFaultTest {};

INSTANTIATE_TEST_SUITE_P(, StorePackFaultTest, ::testing::Values(kPacks),
                         [](const auto& info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(, StoreFaultTest, ::testing::Values(kPacks, kRows),
                         [](const auto& info) { return info.param.name; });

TEST_P(StoreFaultTest, ACrashAtAnyStepOfASaveLeavesAllOrNothing) {
  int step = 0;
  for (; step < kManySteps; ++step) {
    SCOPED_TRACE(step);
    ASSERT_NO_FATAL_FAILURE(Start());
    file_system_.CrashAt(step);
    const bool answered = SaveAll(*store_).ok();
    const bool crashed = file_system_.has_struck();
    ASSERT_NO_FATAL_FAILURE(Restart());
    if (answered) {
      EXPECT_TRUE(IsSaved());
    } else {
      EXPECT_FALSE(IsSaved());
    }
    ExpectStillWorks();
    if (HasFailure()) return;
    if (!crashed) break;
  }
  EXPECT_GT(step, GetParam().least_steps);  // it did take steps
  EXPECT_LT(step, kManySteps);
}

TEST_P(StoreFaultTest, AnErrorAtAnyStepOfASaveIsReportedAndLeavesNothing) {
  const absl::Status errors[] = {
      absl::ResourceExhaustedError("No space left on device"),
      absl::InternalError("Input/output error")};
  for (const absl::Status& error : errors) {
    int step = 0;
    for (; step < kManySteps; ++step) {
      SCOPED_TRACE(step);
      ASSERT_NO_FATAL_FAILURE(Start());
      file_system_.FailAt(step, error);
      const auto result = SaveAll(*store_);
      const bool failed = file_system_.has_struck();
      file_system_.Heal();
      if (result.ok()) {
        // Nothing went wrong, or only the removal of what nobody needs.
        EXPECT_TRUE(IsSaved());
        ASSERT_NO_FATAL_FAILURE(Restart());
        EXPECT_TRUE(IsSaved());
        if (!failed) break;
      } else {
        EXPECT_THAT(result, StatusIs(error.code(), error.message()));
        // Without a restart: the store itself has cleaned up.
        EXPECT_FALSE(IsSaved());
      }
      ExpectStillWorks();
      if (HasFailure()) return;
    }
    EXPECT_GT(step, GetParam().least_steps);
    EXPECT_LT(step, kManySteps);
  }
}

TEST_P(StorePackFaultTest, ACrashAtAnyStepOfADeleteLeavesAllOrNothing) {
  int step = 0;
  for (; step < kManySteps; ++step) {
    SCOPED_TRACE(step);
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_OK_AND_ASSIGN(const Checkpoint saved, SaveAll(*store_));
    file_system_.CrashAt(step);
    const bool answered = store_->DeleteCheckpoint(saved.name, true).ok();
    const bool crashed = file_system_.has_struck();
    ASSERT_NO_FATAL_FAILURE(Restart());
    const bool is_saved = IsSaved();
    EXPECT_FALSE(answered && is_saved);
    if (is_saved) {
      ASSERT_OK(store_->DeleteCheckpoint(saved.name, true));
    }
    ExpectStillWorks();
    if (HasFailure()) return;
    if (!crashed) break;
  }
  EXPECT_GT(step, 2);
  EXPECT_LT(step, kManySteps);
}

TEST_P(StorePackFaultTest, ADeleteWhoseFilesCannotBeRemovedIsADelete) {
  for (int step = 0; step < 3; ++step) {
    SCOPED_TRACE(step);
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_OK_AND_ASSIGN(const Checkpoint saved, SaveAll(*store_));
    file_system_.FailAt(step, absl::InternalError("EIO"));
    EXPECT_OK(store_->DeleteCheckpoint(saved.name, true));
    EXPECT_TRUE(file_system_.has_struck());
    EXPECT_FALSE(IsSaved());
    ASSERT_NO_FATAL_FAILURE(Restart());
    EXPECT_OK(CheckDisk(dir_->path()));
  }
}

TEST_P(StoreFaultTest, ACrashAtAnyStepOfOpeningIsMendedByTheNext) {
  ASSERT_NO_FATAL_FAILURE(Start());
  // Something to sweep: a save that crashed after its rename.
  ASSERT_OK_AND_ASSIGN(
      const auto staged,
      file_system_.Create(
          StorePaths(dir_->path()).Staged(std::string(32, 'a'))));
  ASSERT_OK_AND_ASSIGN(
      const auto pack,
      file_system_.Create(StorePaths(dir_->path()).Pack(std::string(32, 'b'))));
  store_.reset();
  int step = 0;
  for (; step < kManySteps; ++step) {
    SCOPED_TRACE(step);
    file_system_.CrashAt(step);
    const bool opened = OpenStore(dir_->path(), file_system_).ok();
    EXPECT_EQ(opened, !file_system_.has_struck());
    if (opened) break;
  }
  EXPECT_GT(step, 3);
  file_system_.Heal();
  ASSERT_NO_FATAL_FAILURE(Restart());
  ExpectStillWorks();
}

TEST_P(StoreFaultTest, AFullDiskDuringAnUploadIsResourceExhausted) {
  ASSERT_NO_FATAL_FAILURE(Start());
  {
    const std::unique_ptr<Draft> draft = store_->NewDraft();
    ASSERT_OK_AND_ASSIGN(StagedFile* const file, draft->NewFile());
    ASSERT_OK(file->Append("first chunk"));
    file_system_.FailAt(0, absl::ResourceExhaustedError("full"));
    EXPECT_THAT(file->Append("second chunk"),
                StatusIs(absl::StatusCode::kResourceExhausted, "full"));
  }
  EXPECT_THAT(FilesIn(StorePaths(dir_->path()).StagingDir()), IsEmpty());
  ExpectStillWorks();
}

TEST_P(StoreFaultTest, AFullDiskForScratchIsResourceExhausted) {
  ASSERT_NO_FATAL_FAILURE(Start());
  // Of the real disk.
  EXPECT_THAT(store_->NewDraft()->NewScratch(int64_t{1} << 60),
              StatusIs(absl::StatusCode::kResourceExhausted));
  ExpectStillWorks();
}

}  // namespace
}  // namespace warmstart::store
