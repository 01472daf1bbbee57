#include "client/cpp/file_range.h"

#include <string>
#include <vector>

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

constexpr int64_t kMiB = 1 << 20;

class FileRangeTest : public ::testing::Test {
 protected:
  FileRangeTest() { WriteFile(path_, bytes_); }

  absl::StatusOr<bool> Read(int64_t offset, int64_t size) {
    std::string buffer;
    return ReadRange({path_, offset, size}, buffer, [&] {
      pieces_.push_back(buffer);
      return goes_on_;
    });
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("file");
  const std::string bytes_ = VariedBytes(2 * kMiB + 5);
  bool goes_on_ = true;
  std::vector<std::string> pieces_;
};

TEST_F(FileRangeTest, ItComesInPieces) {
  EXPECT_THAT(Read(3, 2 * kMiB + 1), StatusIs(absl::StatusCode::kOk));
  EXPECT_THAT(pieces_,
              ElementsAre(bytes_.substr(3, kMiB), bytes_.substr(3 + kMiB, kMiB),
                          bytes_.substr(3 + 2 * kMiB, 1)));
}

TEST_F(FileRangeTest, AnEmptyRangeIsNoPiece) {
  ASSERT_OK_AND_ASSIGN(const bool goes_on, Read(10, 0));
  EXPECT_TRUE(goes_on);
  EXPECT_THAT(pieces_, IsEmpty());
}

TEST_F(FileRangeTest, WhoeverHasEnoughIsSparedTheRest) {
  goes_on_ = false;
  ASSERT_OK_AND_ASSIGN(const bool goes_on, Read(0, 2 * kMiB));
  EXPECT_FALSE(goes_on);
  EXPECT_THAT(pieces_, ElementsAre(bytes_.substr(0, kMiB)));
}

TEST_F(FileRangeTest, AFileThatIsTooShortIsAnError) {
  EXPECT_THAT(Read(6, 2 * kMiB), StatusIs(absl::StatusCode::kFailedPrecondition,
                                          HasSubstr(path_)));
}

TEST_F(FileRangeTest, AFileThatIsNotThereIsNotFound) {
  std::string buffer;
  EXPECT_THAT(ReadRange({dir_.Join("none"), 0, 1}, buffer, [] { return true; }),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

}  // namespace
}  // namespace warmstart::client
