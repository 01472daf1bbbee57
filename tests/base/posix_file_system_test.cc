#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/file_system.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

class PosixFileSystemTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return dir_.Join(name); }

  void WriteFile(const std::string& path, const std::string& content) {
    ASSERT_OK_AND_ASSIGN(const auto file, file_system_.Create(path));
    ASSERT_OK(file->Append(content));
  }

  std::string ReadFile(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  }

  testing::TempDir dir_;
  FileSystem& file_system_ = PosixFileSystem();
};

TEST_F(PosixFileSystemTest, AppendsAreReadBackInOrder) {
  ASSERT_OK_AND_ASSIGN(const auto file, file_system_.Create(Path("f")));
  ASSERT_OK(file->Append("one "));
  ASSERT_OK(file->Append(""));
  ASSERT_OK(file->Append("two"));
  ASSERT_OK(file->Sync());
  ASSERT_OK_AND_ASSIGN(const auto mapped, file_system_.Map(Path("f")));
  EXPECT_EQ(mapped->bytes(), "one two");
  EXPECT_THAT(file_system_.Size(Path("f")), IsOkAndHolds(7));
}

TEST_F(PosixFileSystemTest, CallsReadWhatIsThere) {
  WriteFile(Path("f"), "hello, world");
  ASSERT_OK_AND_ASSIGN(const auto file, file_system_.OpenForReading(Path("f")));
  EXPECT_THAT(file->Size(), IsOkAndHolds(12));
  std::string into(5, '?');
  EXPECT_THAT(file->Read(7, absl::MakeSpan(into)), IsOkAndHolds(5));
  EXPECT_EQ(into, "world");
  EXPECT_THAT(file->Read(9, absl::MakeSpan(into)), IsOkAndHolds(3));
  EXPECT_EQ(into.substr(0, 3), "rld");
  EXPECT_THAT(file->Read(100, absl::MakeSpan(into)), IsOkAndHolds(0));
  EXPECT_THAT(file_system_.OpenForReading(Path("no such")),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PosixFileSystemTest, WhatTheDeviceCannotReadIsDataLoss) {
  // A file whose first page is an input/output error, on any Linux.
  ASSERT_OK_AND_ASSIGN(const auto file,
                       file_system_.OpenForReading("/proc/self/mem"));
  std::string into(5, '?');
  EXPECT_THAT(file->Read(0, absl::MakeSpan(into)),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("cannot read '/proc/self/mem'")));
}

TEST_F(PosixFileSystemTest, AppendsPastTheWritebackSizeArriveWhole) {
  std::string data((size_t{20} << 20) + 13, 'x');
  for (size_t i = 0; i < data.size(); i += 997) data[i] = static_cast<char>(i);
  ASSERT_OK_AND_ASSIGN(const auto file, file_system_.Create(Path("f")));
  ASSERT_OK(file->Append(data));
  ASSERT_OK(file->Append("end"));
  ASSERT_OK(file->Sync());
  EXPECT_TRUE(ReadFile(Path("f")) == data + "end");
}

TEST_F(PosixFileSystemTest, CreateRefusesAFileThatIsThere) {
  WriteFile(Path("f"), "old");
  EXPECT_THAT(file_system_.Create(Path("f")),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(Path("f"))));
  EXPECT_EQ(ReadFile(Path("f")), "old");
}

TEST_F(PosixFileSystemTest, CreateInAMissingFolderIsNotFound) {
  EXPECT_THAT(file_system_.Create(Path("no/f")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(Path("no/f"))));
}

TEST_F(PosixFileSystemTest, AMappingIsZerosAndKeepsWhatIsWritten) {
  ASSERT_OK_AND_ASSIGN(auto file, file_system_.Create(Path("f")));
  ASSERT_OK_AND_ASSIGN(const absl::Span<char> space, file->MapForWriting(5000));
  EXPECT_EQ(std::string(space.begin(), space.end()), std::string(5000, '\0'));
  space[0] = 'a';
  space[4999] = 'z';
  ASSERT_OK(file->Sync());
  file.reset();
  EXPECT_EQ(ReadFile(Path("f")), "a" + std::string(4998, '\0') + "z");
}

TEST_F(PosixFileSystemTest, AMappingHasItsDiskSpaceAllocated) {
  ASSERT_OK_AND_ASSIGN(const auto file, file_system_.Create(Path("f")));
  ASSERT_OK(file->MapForWriting(1 << 20).status());
  struct stat info;
  ASSERT_EQ(::stat(Path("f").c_str(), &info), 0);
  EXPECT_GE(info.st_blocks * 512, 1 << 20);
}

TEST_F(PosixFileSystemTest, AnEmptyMappingIsAllowed) {
  ASSERT_OK_AND_ASSIGN(const auto file, file_system_.Create(Path("f")));
  EXPECT_THAT(file->MapForWriting(0), IsOkAndHolds(IsEmpty()));
  EXPECT_OK(file->Sync());
}

TEST_F(PosixFileSystemTest, MappingANonEmptyFileOrANegativeSizeIsRefused) {
  ASSERT_OK_AND_ASSIGN(const auto file, file_system_.Create(Path("f")));
  EXPECT_THAT(file->MapForWriting(-1),
              StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK(file->Append("x"));
  EXPECT_THAT(file->MapForWriting(10),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(PosixFileSystemTest, MoreThanTheDiskHoldsIsResourceExhausted) {
  ASSERT_OK_AND_ASSIGN(const auto file, file_system_.Create(Path("f")));
  EXPECT_THAT(
      file->MapForWriting(int64_t{1} << 60),
      StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(Path("f"))));
}

// Lowers the limit on file sizes while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit lower = {.rlim_cur = bytes, .rlim_max = old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &lower);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &old_); }

 private:
  rlimit old_;
};

TEST_F(PosixFileSystemTest, PastTheFileSizeLimitIsResourceExhausted) {
  ASSERT_OK_AND_ASSIGN(const auto file, file_system_.Create(Path("f")));
  const FileSizeLimit limit(1000);
  // The kernel writes what fits, then refuses.
  EXPECT_THAT(
      file->Append(std::string(2000, 'x')),
      StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(Path("f"))));
  EXPECT_THAT(file_system_.Size(Path("f")), IsOkAndHolds(1000));
}

TEST_F(PosixFileSystemTest, MapOfAMissingFileIsNotFound) {
  EXPECT_THAT(file_system_.Map(Path("f")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(Path("f"))));
  EXPECT_THAT(file_system_.Size(Path("f")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(Path("f"))));
}

TEST_F(PosixFileSystemTest, AnEmptyFileMapsToNothing) {
  WriteFile(Path("f"), "");
  ASSERT_OK_AND_ASSIGN(const auto mapped, file_system_.Map(Path("f")));
  EXPECT_THAT(mapped->bytes(), IsEmpty());
}

TEST_F(PosixFileSystemTest, MappedBytesOutliveTheFile) {
  WriteFile(Path("f"), "still here");
  ASSERT_OK_AND_ASSIGN(const auto mapped, file_system_.Map(Path("f")));
  ASSERT_OK(file_system_.Remove(Path("f")));
  EXPECT_EQ(mapped->bytes(), "still here");
}

TEST_F(PosixFileSystemTest, AFileIsGoneOnWithWhereItIsCut) {
  WriteFile(Path("f"), "0123456789");
  {
    ASSERT_OK_AND_ASSIGN(const auto file,
                         file_system_.OpenToAppend(Path("f"), 4));
    EXPECT_EQ(ReadFile(Path("f")), "0123");
    ASSERT_OK(file->Append("ab"));
    ASSERT_OK(file->Append("c"));
    ASSERT_OK(file->Sync());
  }
  EXPECT_EQ(ReadFile(Path("f")), "0123abc");
  ASSERT_OK(file_system_.OpenToAppend(Path("f"), 7));
  EXPECT_EQ(ReadFile(Path("f")), "0123abc");
}

TEST_F(PosixFileSystemTest, AFileThatIsShorterIsNotGoneOnWith) {
  WriteFile(Path("f"), "0123");
  EXPECT_THAT(file_system_.OpenToAppend(Path("f"), 5),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("has 4 bytes")));
  EXPECT_EQ(ReadFile(Path("f")), "0123");
  EXPECT_THAT(file_system_.OpenToAppend(Path("missing"), 0),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PosixFileSystemTest, ALinkedFileHasTwoNames) {
  WriteFile(Path("a"), "content");
  ASSERT_OK(file_system_.Link(Path("a"), Path("b")));
  ASSERT_OK(file_system_.Remove(Path("a")));
  EXPECT_EQ(ReadFile(Path("b")), "content");
}

TEST_F(PosixFileSystemTest, ALinkReplacesNothing) {
  WriteFile(Path("a"), "content");
  WriteFile(Path("b"), "other");
  EXPECT_THAT(file_system_.Link(Path("a"), Path("b")),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(ReadFile(Path("b")), "other");
  EXPECT_THAT(file_system_.Link(Path("missing"), Path("c")),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PosixFileSystemTest, RenameReplacesWhatIsThere) {
  WriteFile(Path("a"), "new");
  WriteFile(Path("b"), "old");
  ASSERT_OK(file_system_.Rename(Path("a"), Path("b")));
  EXPECT_EQ(ReadFile(Path("b")), "new");
  EXPECT_THAT(file_system_.List(dir_.path()),
              IsOkAndHolds(UnorderedElementsAre("b")));
}

TEST_F(PosixFileSystemTest, RenameOfAMissingFileNamesBothPaths) {
  const absl::Status status = file_system_.Rename(Path("a"), Path("b"));
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(Path("a"))));
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(Path("b"))));
}

TEST_F(PosixFileSystemTest, RemovingTwiceIsOk) {
  WriteFile(Path("f"), "x");
  EXPECT_OK(file_system_.Remove(Path("f")));
  EXPECT_OK(file_system_.Remove(Path("f")));
  EXPECT_THAT(file_system_.List(dir_.path()), IsOkAndHolds(IsEmpty()));
}

TEST_F(PosixFileSystemTest, RemovingAFolderIsAnError) {
  ASSERT_OK(file_system_.CreateDirectory(Path("d")));
  EXPECT_THAT(file_system_.Remove(Path("d")), Not(IsOk()));
}

TEST_F(PosixFileSystemTest, ListNamesFilesAndFolders) {
  WriteFile(Path("f"), "x");
  ASSERT_OK(file_system_.CreateDirectory(Path("d")));
  EXPECT_THAT(file_system_.List(dir_.path()),
              IsOkAndHolds(UnorderedElementsAre("d", "f")));
  EXPECT_THAT(file_system_.List(Path("no")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(Path("no"))));
}

TEST_F(PosixFileSystemTest, CreateDirectoryMakesParentsAndIsIdempotent) {
  ASSERT_OK(file_system_.CreateDirectory(Path("a/b/c/")));
  ASSERT_OK(file_system_.CreateDirectory(Path("a/b/c")));
  WriteFile(Path("a/b/c/f"), "x");
  EXPECT_THAT(file_system_.List(Path("a/b/c")),
              IsOkAndHolds(UnorderedElementsAre("f")));
}

TEST_F(PosixFileSystemTest, CreateDirectoryInPlaceOfAFileIsAlreadyExists) {
  WriteFile(Path("f"), "x");
  EXPECT_THAT(file_system_.CreateDirectory(Path("f")),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(Path("f"))));
  EXPECT_THAT(file_system_.CreateDirectory(Path("f/d")), Not(IsOk()));
}

TEST_F(PosixFileSystemTest, SyncDirectoryWantsAFolder) {
  EXPECT_OK(file_system_.SyncDirectory(dir_.path()));
  EXPECT_THAT(file_system_.SyncDirectory(Path("no")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(Path("no"))));
}

}  // namespace
}  // namespace warmstart
