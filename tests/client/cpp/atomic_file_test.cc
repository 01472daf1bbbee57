#include "client/cpp/atomic_file.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/test_files.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

class AtomicFileTest : public ::testing::Test {
 protected:
  testing::TempDir dir_;
  const std::string path_ = dir_.Join("model.pt");
};

TEST_F(AtomicFileTest, AppearsAtCommitAlone) {
  ASSERT_OK_AND_ASSIGN(AtomicFile file, AtomicFile::Create(path_));
  ASSERT_OK(file.Append("one "));
  ASSERT_OK(file.Append("two"));
  EXPECT_FALSE(std::filesystem::exists(path_));
  ASSERT_OK(file.Commit());
  EXPECT_EQ(ReadFile(path_), "one two");
  EXPECT_THAT(FilesIn(dir_.path()), ElementsAre("model.pt"));
}

TEST_F(AtomicFileTest, UncommittedFileLeavesNothing) {
  {
    ASSERT_OK_AND_ASSIGN(AtomicFile file, AtomicFile::Create(path_));
    ASSERT_OK(file.Append("half"));
    const AtomicFile moved = std::move(file);
  }
  EXPECT_THAT(FilesIn(dir_.path()), IsEmpty());
}

TEST_F(AtomicFileTest, WhatWasThereStaysUntilCommit) {
  WriteFile(path_, "old");
  {
    ASSERT_OK_AND_ASSIGN(AtomicFile file, AtomicFile::Create(path_));
    ASSERT_OK(file.Append("half"));
  }
  EXPECT_EQ(ReadFile(path_), "old");
  ASSERT_OK_AND_ASSIGN(AtomicFile file, AtomicFile::Create(path_));
  ASSERT_OK(file.Append("new"));
  EXPECT_EQ(ReadFile(path_), "old");
  ASSERT_OK(file.Commit());
  EXPECT_EQ(ReadFile(path_), "new");
}

TEST_F(AtomicFileTest, HasTheModeThatTheUmaskGives) {
  const mode_t old_umask = umask(027);
  ASSERT_OK_AND_ASSIGN(AtomicFile file, AtomicFile::Create(path_));
  ASSERT_OK(file.Commit());
  umask(old_umask);
  struct stat info;
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640);
}

TEST_F(AtomicFileTest, ALinkGoesOnPointingToTheFile) {
  std::filesystem::create_directory(dir_.Join("real"));
  WriteFile(dir_.Join("real/model.pt"), "old");
  std::filesystem::create_symlink("real/model.pt", path_);
  ASSERT_OK_AND_ASSIGN(AtomicFile file, AtomicFile::Create(path_));
  ASSERT_OK(file.Append("new"));
  ASSERT_OK(file.Commit());
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
  EXPECT_EQ(ReadFile(dir_.Join("real/model.pt")), "new");
}

TEST_F(AtomicFileTest, FoldersAndDevicesAreNotReplaced) {
  EXPECT_THAT(
      AtomicFile::Create(dir_.path()),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a folder")));
  EXPECT_THAT(AtomicFile::Create("/dev/null"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("not a regular file")));
}

TEST_F(AtomicFileTest, AMissingFolderIsToldAtOnce) {
  EXPECT_THAT(
      AtomicFile::Create(dir_.Join("none/model.pt")),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("none/model.pt")));
}

TEST_F(AtomicFileTest, BytesThatCannotBeWrittenAreAnError) {
  // A limit on the size of files stands for a full disk.
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const rlimit small = {.rlim_cur = 4, .rlim_max = old_limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  ASSERT_OK_AND_ASSIGN(AtomicFile file, AtomicFile::Create(path_));
  const absl::Status status = file.Append("12345678");
  setrlimit(RLIMIT_FSIZE, &old_limit);
  signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
}

}  // namespace
}  // namespace warmstart::client
