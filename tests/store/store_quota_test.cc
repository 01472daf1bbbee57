// The limits of a store, as its callers meet them.

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "server/store/local/paths.h"
#include "server/store/store.h"
#include "server/store/uploads/upload_store.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kExhausted = absl::StatusCode::kResourceExhausted;

// What a file of one such tensor takes, which is too much for the catalog.
constexpr int64_t kBytes = 200'000;

Tensors TensorsOf(uint32_t seed) { return {{"w", RandomBytes(kBytes, seed)}}; }

class StoreQuotaTest : public ::testing::Test {
 protected:
  void Open(const StoreLimits& limits) {
    store_.reset();
    StoreOptions options;
    options.data_dir = dir_.path();
    options.limits = limits;
    store_ = Store::Open(options).value();
  }

  static std::string FlagOf(const absl::Status& status) {
    const std::optional<ErrorInfo> info = GetErrorInfo(status);
    if (!info.has_value() || info->reason != reason::kQuotaExceeded) return "";
    return info->metadata.at("flag");
  }

  std::vector<std::string> Packs() const {
    return FilesIn(StorePaths(dir_.path()).PacksDir());
  }
  std::vector<std::string> Staged() const {
    return FilesIn(StorePaths(dir_.path()).StagingDir());
  }

  testing::TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreQuotaTest, UsageFollowsSavesAndDeletions) {
  Open({});
  EXPECT_EQ(store_->usage().stored_bytes, 0);
  ASSERT_OK_AND_ASSIGN(const Checkpoint large, Save(*store_, TensorsOf(1)));
  ASSERT_OK_AND_ASSIGN(const Checkpoint small, Save(*store_, {{"s", "12345"}}));
  ASSERT_OK(SaveReferences(*store_, TensorsOf(1)).status());
  EXPECT_EQ(store_->usage().stored_bytes, kBytes + 5);
  EXPECT_EQ(store_->usage().num_checkpoints, 3);
  EXPECT_EQ(store_->usage().receiving_bytes, 0);
  ASSERT_OK(store_->DeleteCheckpoint(small.name, false));
  EXPECT_EQ(store_->usage().stored_bytes, kBytes);
  ASSERT_OK(store_->DeleteCheckpoint(large.name, false));
  EXPECT_EQ(store_->usage().stored_bytes, kBytes);
  EXPECT_EQ(store_->usage().num_checkpoints, 1);
  Open({});
  EXPECT_EQ(store_->usage().stored_bytes, kBytes);
  EXPECT_EQ(store_->usage().num_checkpoints, 1);
}

TEST_F(StoreQuotaTest, ASaveThatExactlyFitsIsStored) {
  Open({.max_bytes = 2 * kBytes});
  ASSERT_OK(Save(*store_, TensorsOf(1)).status());
  ASSERT_OK(Save(*store_, TensorsOf(2)).status());
  EXPECT_EQ(store_->usage().stored_bytes, 2 * kBytes);
  EXPECT_EQ(FlagOf(Save(*store_, {{"s", "1"}}).status()), "--max-store-bytes");
  // What adds no bytes adds none.
  EXPECT_OK(SaveReferences(*store_, TensorsOf(1)).status());
}

TEST_F(StoreQuotaTest, AnAnnouncedSizeIsRefusedBeforeAByteComes) {
  Open({.max_bytes = 1000, .max_upload_bytes = 600});
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  EXPECT_EQ(FlagOf(draft->NewFile(601).status()), "--max-upload-bytes");
  ASSERT_OK(draft->NewFile(600).status());
  EXPECT_EQ(store_->usage().receiving_bytes, 600);
  EXPECT_EQ(FlagOf(draft->NewFile(1).status()), "--max-upload-bytes");
  EXPECT_EQ(FlagOf(store_->NewDraft()->NewFile(500).status()),
            "--max-store-bytes");
  EXPECT_OK(store_->NewDraft()->NewFile(400).status());
  EXPECT_THAT(Staged(), SizeIs(1));
}

TEST_F(StoreQuotaTest, WhatWasNotAnnouncedIsRefusedWhenItCrosses) {
  Open({.max_bytes = 1000, .max_upload_bytes = 900});
  {
    const std::unique_ptr<Draft> draft = store_->NewDraft();
    ASSERT_OK_AND_ASSIGN(StagedFile* const file, draft->NewFile());
    ASSERT_OK(file->Append(std::string(900, 'x')));
    const absl::Status status = file->Append("y");
    EXPECT_THAT(status, StatusIs(kExhausted));
    EXPECT_EQ(FlagOf(status), "--max-upload-bytes");
    // Others have what is left.
    ASSERT_OK_AND_ASSIGN(const absl::Span<char> space, draft->NewScratch(100));
    EXPECT_THAT(space, SizeIs(100));
    EXPECT_EQ(FlagOf(store_->NewDraft()->NewScratch(1).status()),
              "--max-store-bytes");
  }
  EXPECT_EQ(store_->usage().receiving_bytes, 0);
  EXPECT_THAT(Staged(), IsEmpty());
}

// What was announced for an upload is nobody else's until the upload ends.
TEST_F(StoreQuotaTest, UploadsHaveTheirRoomFromTheBeginning) {
  const Tensors tensors = TensorsOf(1);
  const std::string file = FileOf(tensors);
  const StoreLimits limits = {.max_bytes = kBytes + 1000};
  Open(limits);
  ASSERT_OK_AND_ASSIGN(const UploadName upload,
                       BeginUpload(*store_, "model.pt", file, 10));
  EXPECT_EQ(store_->usage().receiving_bytes, file.size());
  EXPECT_EQ(FlagOf(store_->uploads().Create({{"b", 2000}}).status()),
            "--max-store-bytes");
  EXPECT_EQ(FlagOf(Save(*store_, TensorsOf(2)).status()), "--max-store-bytes");

  // A restart forgets none of it, also with less room.
  Open({.max_bytes = 1000});
  EXPECT_EQ(store_->usage().receiving_bytes, file.size());
  EXPECT_EQ(FlagOf(Save(*store_, {{"s", "1"}}).status()), "--max-store-bytes");

  // It needs no more room when it is saved, and none when a save is given up.
  Open(limits);
  ASSERT_OK(WriteToUpload(*store_, upload, file.substr(10)));
  {
    const std::unique_ptr<Draft> draft = store_->NewDraft();
    ASSERT_OK(draft->AdoptUpload(upload).status());
    EXPECT_EQ(store_->usage().receiving_bytes, file.size());
  }
  EXPECT_EQ(store_->usage().receiving_bytes, file.size());
  ASSERT_OK(SaveUpload(*store_, upload, tensors).status());
  EXPECT_EQ(store_->usage().receiving_bytes, 0);
  EXPECT_EQ(store_->usage().stored_bytes, kBytes);
}

TEST_F(StoreQuotaTest, UploadsThatEndGiveTheirRoomBack) {
  Open({.max_bytes = 1000, .max_checkpoints = 1, .max_upload_bytes = 900});
  EXPECT_EQ(FlagOf(store_->uploads().Create({{"a", 500}, {"b", 401}}).status()),
            "--max-upload-bytes");
  EXPECT_EQ(store_->usage().receiving_bytes, 0);
  ASSERT_OK_AND_ASSIGN(const Upload upload,
                       store_->uploads().Create({{"a", 500}, {"b", 400}}));
  EXPECT_EQ(store_->usage().receiving_bytes, 900);
  ASSERT_OK(store_->uploads().Delete(upload.name));
  EXPECT_EQ(store_->usage().receiving_bytes, 0);
  ASSERT_OK(Save(*store_, {{"s", "1"}}).status());
  EXPECT_EQ(FlagOf(store_->uploads().Create({{"a", 1}}).status()),
            "--max-checkpoints");
}

TEST_F(StoreQuotaTest, AFileThatIsMostlyKnownNeedsRoomForItselfAlone) {
  Open({.max_bytes = 3 * kBytes});
  ASSERT_OK(Save(*store_, TensorsOf(1)).status());
  // Received whole, and copied from while it is still there.
  Tensors tensors = TensorsOf(1);
  tensors.push_back({"new", RandomBytes(150'000, 2)});
  ASSERT_OK(Save(*store_, tensors).status());
  EXPECT_EQ(store_->usage().stored_bytes, kBytes + 150'000);
}

TEST_F(StoreQuotaTest, CheckpointsAreCounted) {
  Open({.max_checkpoints = 2});
  ASSERT_OK(Save(*store_, {{"s", "1"}}).status());
  ASSERT_OK_AND_ASSIGN(const Checkpoint second,
                       Save(*store_, {{"s", "2"}}, {.request_id = "r"}));
  EXPECT_EQ(FlagOf(store_->NewDraft()->NewFile().status()),
            "--max-checkpoints");
  EXPECT_EQ(FlagOf(SaveReferences(*store_, {{"s", "1"}}).status()),
            "--max-checkpoints");
  // It was stored when there was room.
  ASSERT_OK_AND_ASSIGN(
      const Checkpoint again,
      SaveReferences(*store_, {{"s", "2"}}, {.request_id = "r"}));
  EXPECT_EQ(again.name, second.name);
  ASSERT_OK(store_->DeleteCheckpoint(second.name, false));
  EXPECT_OK(Save(*store_, {{"s", "3"}}).status());
}

TEST_F(StoreQuotaTest, AStoreBeyondItsLimitsOpensAndShrinks) {
  Open({});
  ASSERT_OK_AND_ASSIGN(const Checkpoint first, Save(*store_, TensorsOf(1)));
  ASSERT_OK(Save(*store_, TensorsOf(2)).status());
  Open({.max_bytes = kBytes, .max_checkpoints = 1});
  EXPECT_THAT(Save(*store_, {{"s", "1"}}).status(), StatusIs(kExhausted));
  EXPECT_OK(CheckReadable(*store_, first.name, TensorsOf(1)));
  EXPECT_OK(store_->SetLabels(first.name, {{"a", "b"}}).status());
  EXPECT_OK(store_->DeleteCheckpoint(first.name, false));
}

TEST_F(StoreQuotaTest, ARefusedCommitLeavesNothing) {
  Open({.max_checkpoints = 1});
  // Both have begun before either is stored.
  const std::unique_ptr<Draft> one = store_->NewDraft();
  const std::unique_ptr<Draft> two = store_->NewDraft();
  ASSERT_OK(StageFile(*one, TensorsOf(1)).status());
  ASSERT_OK(StageFile(*two, TensorsOf(2)).status());
  ASSERT_OK(one->Commit({.manifest = ManifestOf(TensorsOf(1))}).status());
  EXPECT_EQ(
      FlagOf(two->Commit({.manifest = ManifestOf(TensorsOf(2))}).status()),
      "--max-checkpoints");
  EXPECT_THAT(Packs(), SizeIs(1));
  EXPECT_THAT(store_->GetBlob(BlobOf(TensorsOf(2)[0].second).digest),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(store_->usage().stored_bytes, kBytes);
}

// Whatever their order, as many pass as fit, and never one more.
TEST_F(StoreQuotaTest, OfSavesAtOnceAsManyPassAsFit) {
  constexpr int kSaves = 8;
  constexpr int kFit = 5;
  for (const bool of_checkpoints : {false, true}) {
    if (of_checkpoints) {
      Open({.max_checkpoints = store_->usage().num_checkpoints + kFit});
    } else {
      Open({.max_bytes = kFit * kBytes});
    }
    std::atomic<int> stored = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < kSaves; ++i) {
      threads.emplace_back([&, i] {
        const absl::Status status =
            Save(*store_, TensorsOf(100 * of_checkpoints + i)).status();
        if (status.ok()) {
          ++stored;
        } else {
          EXPECT_THAT(status, StatusIs(kExhausted));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(stored, kFit);
    EXPECT_EQ(store_->usage().receiving_bytes, 0);
    EXPECT_OK(CheckDisk(dir_.path()));
  }
}

}  // namespace
}  // namespace warmstart::store
