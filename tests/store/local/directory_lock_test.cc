#include "server/store/local/directory_lock.h"

#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

TEST(DirectoryLockTest, ASecondHolderIsRefusedInWords) {
  const testing::TempDir dir;
  const StorePaths paths(dir.path());
  ASSERT_OK_AND_ASSIGN(const auto lock, DirectoryLock::Acquire(paths));
  EXPECT_THAT(DirectoryLock::Acquire(paths),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(dir.path()),
                             HasSubstr(absl::StrCat("pid ", ::getpid())))));
}

TEST(DirectoryLockTest, AReleasedLockIsFree) {
  const testing::TempDir dir;
  const StorePaths paths(dir.path());
  ASSERT_OK(DirectoryLock::Acquire(paths));
  ASSERT_OK(DirectoryLock::Acquire(paths));
}

TEST(DirectoryLockTest, TheLockEndsWithAProcessThatIsKilled) {
  const testing::TempDir dir;
  const StorePaths paths(dir.path());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto lock = DirectoryLock::Acquire(paths);
    ::_exit(lock.ok() ? 0 : 1);  // without its destructor
  }
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  ASSERT_EQ(state, 0);
  EXPECT_OK(DirectoryLock::Acquire(paths));
}

TEST(DirectoryLockTest, AMissingFolderIsNotFound) {
  const testing::TempDir dir;
  EXPECT_THAT(DirectoryLock::Acquire(StorePaths(dir.Join("no"))),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("LOCK")));
}

}  // namespace
}  // namespace warmstart::store
