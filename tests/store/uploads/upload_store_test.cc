// Uploads as the store's callers see them. What crashes and a failing disk do
// to them is in store_crash_test.cc and store_fault_test.cc.

#include "server/store/uploads/upload_store.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using ::warmstart::testing::StatusIs;

constexpr absl::Duration kTtl = absl::Hours(24);
const Tensors kTensors = {{"w", RandomBytes(200'000, 1)},
                          {"b", RandomBytes(70, 2)}};

class UploadStoreTest : public ::testing::Test {
 protected:
  UploadStoreTest() { Reopen(); }

  void Reopen() {
    store_.reset();
    store_ = OpenStore(dir_.path(), PosixFileSystem(), clock_).value();
  }

  UploadStore& uploads() { return store_->uploads(); }
  std::vector<std::string> Files() const {
    return FilesIn(paths_.UploadsDir());
  }
  int64_t Committed(const UploadName& name, int file = 0) {
    return uploads().Get(name).value().files[file].committed_bytes;
  }
  UploadName MustBegin(absl::string_view bytes, size_t num_bytes) {
    return BeginUpload(*store_, "model.pt", bytes, num_bytes).value();
  }

  testing::TempDir dir_;
  const StorePaths paths_{dir_.path()};
  testing::FakeClock clock_;
  std::unique_ptr<Store> store_;
};

TEST_F(UploadStoreTest, BytesThatComeInPiecesBecomeACheckpoint) {
  const std::string file = FileOf(kTensors);
  ASSERT_OK_AND_ASSIGN(
      const Upload upload,
      uploads().Create({{"a.pt", static_cast<int64_t>(file.size())}}));
  EXPECT_EQ(upload.create_time, clock_.Now());
  EXPECT_EQ(upload.expire_time, clock_.Now() + kTtl);
  ASSERT_OK(WriteToUpload(*store_, upload.name, file.substr(0, 1000)));
  Reopen();
  EXPECT_EQ(Committed(upload.name), 1000);
  ASSERT_OK(WriteToUpload(*store_, upload.name, file.substr(1000)));
  ASSERT_OK_AND_ASSIGN(const Checkpoint saved,
                       SaveUpload(*store_, upload.name, kTensors));
  EXPECT_OK(CheckReadable(*store_, saved.name, kTensors));
  EXPECT_THAT(uploads().Get(upload.name),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Files(), IsEmpty());
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(UploadStoreTest, TheFileItselfBecomesThePack) {
  const std::string file = FileOf(kTensors);
  const UploadName name = MustBegin(file, file.size());
  struct stat before;
  struct stat after;
  ASSERT_EQ(::stat(paths_.Upload(BytesFile(name, 0)).c_str(), &before), 0);
  ASSERT_OK(SaveUpload(*store_, name, kTensors));
  const std::vector<std::string> packs = FilesIn(paths_.PacksDir());
  ASSERT_THAT(packs, SizeIs(1));
  ASSERT_EQ(::stat(paths_.Pack(packs[0]).c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(after.st_nlink, 1);
}

TEST_F(UploadStoreTest, ADraftThatIsDroppedLeavesTheUploadAsItWas) {
  const std::string file = FileOf(kTensors);
  const UploadName name = MustBegin(file, file.size());
  {
    const std::unique_ptr<Draft> draft = store_->NewDraft();
    ASSERT_OK(draft->AdoptUpload(name));
    EXPECT_THAT(uploads().Write(name), StatusIs(absl::StatusCode::kAborted));
    EXPECT_THAT(store_->NewDraft()->AdoptUpload(name),
                StatusIs(absl::StatusCode::kAborted));
    EXPECT_THAT(uploads().Delete(name), StatusIs(absl::StatusCode::kAborted));
  }
  EXPECT_OK(SaveUpload(*store_, name, kTensors));
}

TEST_F(UploadStoreTest, ACommitThatFailsLeavesTheUploadAsItWas) {
  const std::string file = FileOf(kTensors);
  const UploadName name = MustBegin(file, file.size());
  Tensors more = kTensors;
  more.emplace_back("nowhere", "bytes that no file brings");
  {
    const std::unique_ptr<Draft> draft = store_->NewDraft();
    ASSERT_OK_AND_ASSIGN(const auto files, draft->AdoptUpload(name));
    AddBlobs(*draft, files[0].file, kTensors);
    EXPECT_THAT(draft->Commit({.manifest = ManifestOf(more)}),
                StatusIs(absl::StatusCode::kAborted));
  }
  EXPECT_OK(CheckDisk(dir_.path()));
  Reopen();
  EXPECT_EQ(Committed(name), file.size());
  EXPECT_OK(SaveUpload(*store_, name, kTensors));
}

TEST_F(UploadStoreTest, AnIncompleteUploadIsNotTaken) {
  const std::string file = FileOf(kTensors);
  const UploadName name = MustBegin(file, 10);
  const auto adopted = store_->NewDraft()->AdoptUpload(name);
  EXPECT_THAT(
      adopted,
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr(absl::StrCat("10 of the ", file.size(), " bytes"))));
  EXPECT_EQ(GetErrorInfo(adopted.status())->reason, "UPLOAD_INCOMPLETE");
  EXPECT_OK(WriteToUpload(*store_, name, file.substr(10)));
}

TEST_F(UploadStoreTest, FilesWithoutBytesAreComplete) {
  ASSERT_OK_AND_ASSIGN(const Upload upload, uploads().Create({{"empty", 0}}));
  const std::unique_ptr<Draft> draft = store_->NewDraft();
  ASSERT_OK_AND_ASSIGN(const auto files, draft->AdoptUpload(upload.name));
  ASSERT_OK_AND_ASSIGN(const absl::string_view bytes, files[0].file->Finish());
  EXPECT_EQ(bytes, "");
  EXPECT_THAT(files[0].file->Append("x"), Not(StatusIs(absl::StatusCode::kOk)));
}

TEST_F(UploadStoreTest, AnotherOffsetIsRefusedWithTheRightOne) {
  const UploadName name = MustBegin("0123456789", 4);
  ASSERT_OK_AND_ASSIGN(const auto writer, uploads().Write(name));
  for (const int64_t offset : {-1, 0, 3, 5, 10, 11}) {
    const absl::Status status = writer->Begin(0, offset);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kOutOfRange,
                                 HasSubstr("has 4 bytes of file 0")));
    EXPECT_EQ(GetErrorInfo(status)->metadata["committed_bytes"], "4");
  }
  ASSERT_OK(writer->Begin(0, 4));
  ASSERT_OK(writer->Append("45"));
  // Also of what this writer has written.
  EXPECT_THAT(writer->Begin(0, 4), StatusIs(absl::StatusCode::kOutOfRange));
  ASSERT_OK(writer->Begin(0, 6));
  ASSERT_OK(writer->Append("6789"));
  ASSERT_OK(writer->Commit());
  ASSERT_OK_AND_ASSIGN(const Upload queried, uploads().Get(name));
  EXPECT_EQ(queried.files[0].committed_bytes, 10);
}

TEST_F(UploadStoreTest, WhatCannotBeWrittenIsRefusedAndTheRestIsKept) {
  const UploadName name = MustBegin("0123456789", 4);
  {
    ASSERT_OK_AND_ASSIGN(const auto writer, uploads().Write(name));
    EXPECT_THAT(writer->Append("x"),
                StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(writer->Begin(1, 0),
                StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(writer->Begin(-1, 0),
                StatusIs(absl::StatusCode::kInvalidArgument));
    ASSERT_OK(writer->Begin(0, 4));
    ASSERT_OK(writer->Append("45"));
    EXPECT_THAT(writer->Append("6789x"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("goes beyond the 10 bytes")));
    ASSERT_OK(writer->Commit());
  }
  EXPECT_EQ(Committed(name), 6);
}

TEST_F(UploadStoreTest, OneWritesAtATime) {
  const UploadName name = MustBegin("0123", 0);
  {
    ASSERT_OK_AND_ASSIGN(const auto first, uploads().Write(name));
    const auto second = uploads().Write(name);
    EXPECT_THAT(second, StatusIs(absl::StatusCode::kAborted));
    EXPECT_EQ(GetErrorInfo(second.status())->reason, "UPLOAD_BUSY");
    EXPECT_THAT(uploads().GetWithDigests(name),
                StatusIs(absl::StatusCode::kAborted));
    EXPECT_OK(uploads().Get(name));
  }
  EXPECT_OK(uploads().Write(name));
}

TEST_F(UploadStoreTest, WhatWasNotCommittedIsCutOff) {
  const UploadName name = MustBegin("0123456789", 4);
  {
    ASSERT_OK_AND_ASSIGN(const auto writer, uploads().Write(name));
    ASSERT_OK(writer->Begin(0, 4));
    ASSERT_OK(writer->Append("xxxx"));
  }
  Reopen();
  EXPECT_EQ(Committed(name), 4);
  ASSERT_OK(WriteToUpload(*store_, name, "456789"));
  ASSERT_OK_AND_ASSIGN(const Upload upload, uploads().GetWithDigests(name));
  EXPECT_EQ(upload.files[0].digest, Digest::Of("0123456789"));
}

TEST_F(UploadStoreTest, ManyBytesAreCommittedOnTheWay) {
  constexpr int64_t kMiB = 1 << 20;
  ASSERT_OK_AND_ASSIGN(const Upload upload,
                       uploads().Create({{"large", 100 * kMiB}}));
  ASSERT_OK_AND_ASSIGN(const auto writer, uploads().Write(upload.name));
  ASSERT_OK(writer->Begin(0, 0));
  const std::string chunk(8 * kMiB, 'x');
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(Committed(upload.name), 0);
    ASSERT_OK(writer->Append(chunk));
  }
  EXPECT_EQ(Committed(upload.name), 64 * kMiB);
}

TEST_F(UploadStoreTest, ManyFilesComeInOneStream) {
  std::vector<UploadFile> files;
  for (int i = 0; i < 300; ++i) files.push_back({absl::StrCat("f", i), i});
  ASSERT_OK_AND_ASSIGN(const Upload upload, uploads().Create(files));
  {
    ASSERT_OK_AND_ASSIGN(const auto writer, uploads().Write(upload.name));
    for (int i = 0; i < 300; ++i) {
      ASSERT_OK(writer->Begin(i, 0));
      ASSERT_OK(writer->Append(std::string(i, 'a' + i % 26)));
    }
    ASSERT_OK(writer->Commit());
  }
  Reopen();
  ASSERT_OK_AND_ASSIGN(const Upload found,
                       uploads().GetWithDigests(upload.name));
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(found.files[i].digest, Digest::Of(std::string(i, 'a' + i % 26)));
  }
}

TEST_F(UploadStoreTest, AnUploadExpiresADayAfterItsLastBytes) {
  const UploadName name = MustBegin("0123456789", 4);
  clock_.Advance(kTtl - absl::Seconds(1));
  ASSERT_OK(WriteToUpload(*store_, name, "45"));
  clock_.Advance(kTtl - absl::Seconds(1));
  ASSERT_OK_AND_ASSIGN(const Upload upload, uploads().Get(name));
  EXPECT_EQ(upload.expire_time, clock_.Now() + absl::Seconds(1));
  Reopen();
  EXPECT_EQ(Committed(name), 6);
  clock_.Advance(absl::Seconds(1));
  const auto gone = uploads().Get(name);
  EXPECT_THAT(gone, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(GetErrorInfo(gone.status())->reason, "UPLOAD_NOT_FOUND");
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(UploadStoreTest, WhatHasExpiredIsSweptAtTheStart) {
  MustBegin("0123456789", 4);
  clock_.Advance(kTtl);
  EXPECT_THAT(Files(), SizeIs(2));
  Reopen();
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(UploadStoreTest, AnUploadThatIsWrittenDoesNotExpire) {
  const UploadName name = MustBegin("0123456789", 4);
  ASSERT_OK_AND_ASSIGN(const auto writer, uploads().Write(name));
  ASSERT_OK(writer->Begin(0, 4));
  clock_.Advance(2 * kTtl);
  uploads().SweepExpired();
  ASSERT_OK(writer->Append("456789"));
  ASSERT_OK(writer->Commit());
  EXPECT_EQ(Committed(name), 10);
}

TEST_F(UploadStoreTest, DeletingRemovesTheFiles) {
  const UploadName name = MustBegin("0123456789", 4);
  ASSERT_OK(uploads().Delete(name));
  EXPECT_THAT(Files(), IsEmpty());
  EXPECT_THAT(uploads().Delete(name), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(uploads().Write(name), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(UploadStoreTest, ListsInPages) {
  std::set<std::string> names;
  for (int i = 0; i < 5; ++i) names.insert(MustBegin("0", 0).id());
  std::vector<std::string> listed;
  std::string token;
  do {
    ASSERT_OK_AND_ASSIGN(const UploadPage page, uploads().List(2, token));
    EXPECT_LE(page.uploads.size(), 2);
    for (const Upload& upload : page.uploads) {
      listed.push_back(upload.name.id());
    }
    token = page.next_page_token;
  } while (!token.empty());
  EXPECT_EQ(listed, std::vector<std::string>(names.begin(), names.end()));
  EXPECT_THAT(uploads().List(-1, ""),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(uploads().List(0, "nonsense"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(UploadStoreTest, ThereAreAtMostSoMany) {
  for (size_t i = 0; i < UploadStore::kMaxUploads; ++i) {
    ASSERT_OK(uploads().Create({{"f", 1}}));
  }
  const auto refused = uploads().Create({{"f", 1}});
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(GetErrorInfo(refused.status())->reason, "TOO_MANY_UPLOADS");
  EXPECT_THAT(Files(), SizeIs(UploadStore::kMaxUploads));
  clock_.Advance(kTtl);
  EXPECT_OK(uploads().Create({{"f", 1}}));
  EXPECT_THAT(Files(), SizeIs(1));
}

// As when somebody puts back a part of a folder.
TEST_F(UploadStoreTest, TheStartSweepsWhatIsNoUpload) {
  const UploadName kept = MustBegin("0123456789", 4);
  const UploadName lacks_bytes = MustBegin("0123456789", 4);
  const UploadName lacks_journal = MustBegin("0123456789", 4);
  const UploadName is_garbage = MustBegin("0123456789", 4);
  const UploadName is_short = MustBegin("0123456789", 4);
  std::filesystem::remove(paths_.Upload(BytesFile(lacks_bytes, 0)));
  std::filesystem::remove(paths_.Upload(JournalFile(lacks_journal)));
  std::filesystem::resize_file(paths_.Upload(BytesFile(is_short, 0)), 3);
  std::ofstream(paths_.Upload(JournalFile(is_garbage))) << "garbage\n";
  for (const char* name : {"README", "abc.0", "abc.journal"}) {
    std::ofstream(paths_.Upload(name)) << "theirs";
  }
  Reopen();
  EXPECT_THAT(Files(),
              UnorderedElementsAre("README", "abc.0", "abc.journal",
                                   BytesFile(kept, 0), JournalFile(kept)));
  EXPECT_EQ(Committed(kept), 4);
}

}  // namespace
}  // namespace warmstart::store
