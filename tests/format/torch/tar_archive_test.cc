#include "server/format/torch/tar_archive.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/format/hand_made.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

void ExpectRefused(const std::string& bytes, const std::string& message) {
  EXPECT_THAT(ReadTar(bytes).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
}

// Recomputes the checksum of the first header after a change to it.
std::string WithHeader(std::string archive, size_t at, std::string bytes) {
  archive.replace(at, bytes.size(), bytes);
  archive.replace(148, 8, "        ");
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i)
    sum += static_cast<unsigned char>(archive[i]);
  char text[8];
  snprintf(text, sizeof(text), "%06o", sum);
  archive.replace(148, 7, text, 7);
  return archive;
}

TEST(TarArchiveTest, FilesAreFoundByName) {
  const std::string block(512, 'x');
  const std::string bytes =
      hand_made::Tar({{"a", "hello"}, {"./b", block}, {"c", ""}});
  EXPECT_TRUE(LooksLikeTar(bytes));
  EXPECT_THAT(ReadTar(bytes),
              IsOkAndHolds(UnorderedElementsAre(
                  Pair("a", "hello"), Pair("b", absl::string_view(block)),
                  Pair("c", ""))));
}

TEST(TarArchiveTest, ArchiveMayEndWithoutItsEmptyBlocks) {
  const std::string bytes = hand_made::Tar({{"a", "hello"}});
  EXPECT_THAT(ReadTar(bytes.substr(0, 1024)),
              IsOkAndHolds(UnorderedElementsAre(Pair("a", "hello"))));
  EXPECT_THAT(ReadTar(""), IsOkAndHolds(IsEmpty()));
}

TEST(TarArchiveTest, OtherThanRegularFilesAreLeftOut) {
  const std::string bytes = hand_made::Tar({{"a", "hello"}, {"b", "there"}});
  for (char type : {'1', '2', '5', 'x', 'g'}) {
    EXPECT_THAT(ReadTar(WithHeader(bytes, 156, std::string(1, type))),
                IsOkAndHolds(UnorderedElementsAre(Pair("b", "there"))));
  }
}

TEST(TarArchiveTest, LargeSizesInBinaryAreRead) {
  const std::string bytes = hand_made::Tar({{"a", "hello"}});
  EXPECT_THAT(ReadTar(WithHeader(
                  bytes, 124, std::string("\x80\0\0\0\0\0\0\0\0\0\0\5", 12))),
              IsOkAndHolds(UnorderedElementsAre(Pair("a", "hello"))));
  ExpectRefused(WithHeader(bytes, 124, "\x80" + std::string(11, '\xff')),
                "size is wrong");
}

TEST(TarArchiveTest, LyingSizesAreRefused) {
  const std::string bytes = hand_made::Tar({{"a", "hello"}});
  ExpectRefused(WithHeader(bytes, 124, "77777777777"), "size is wrong");
  ExpectRefused(WithHeader(bytes, 124, "9          "), "size is wrong");
  ExpectRefused(WithHeader(bytes, 124, "           "), "size is wrong");
}

TEST(TarArchiveTest, WrongChecksumIsRefused) {
  std::string bytes = hand_made::Tar({{"a", "hello"}, {"b", ""}});
  bytes[1024] = 'c';
  ExpectRefused(bytes, "the checksum of a header is wrong, at byte 1024");
}

TEST(TarArchiveTest, DuplicateNamesAreRefused) {
  ExpectRefused(hand_made::Tar({{"a", "1"}, {"./a", "2"}}),
                "two files are named 'a'");
}

TEST(TarArchiveTest, CutFilesAreRefused) {
  const std::string bytes = hand_made::Tar({{"a", "hello"}});
  ExpectRefused(bytes.substr(0, 515), "cut short");
  ExpectRefused(bytes.substr(0, 1023), "cut short");
}

}  // namespace
}  // namespace warmstart::format
