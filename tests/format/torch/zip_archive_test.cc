#include "server/format/torch/zip_archive.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/format/hand_made.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using hand_made::Number;
using hand_made::Zip;
using hand_made::ZipEnd;
using hand_made::ZipEntry;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

void ExpectRefused(const std::string& bytes, const std::string& message) {
  EXPECT_THAT(ZipArchive::Open(bytes).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
}

TEST(ZipArchiveTest, RecordsAreFoundByName) {
  const std::string bytes = Zip({{"a/x", "hello"}, {"a/y", ""}});
  ASSERT_OK_AND_ASSIGN(const ZipArchive archive, ZipArchive::Open(bytes));
  ASSERT_THAT(archive.records(), SizeIs(2));
  const ZipRecord* record = archive.Find("a/x");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(bytes.substr(record->offset, record->num_bytes), "hello");
  EXPECT_THAT(record->crc32, Optional(Eq(0x3610a686u)));
  EXPECT_THAT(archive.ReadChecked(*record), IsOkAndHolds("hello"));
  EXPECT_THAT(archive.ReadChecked(*archive.Find("a/y")), IsOkAndHolds(""));
  EXPECT_EQ(archive.Find("a/z"), nullptr);
}

TEST(ZipArchiveTest, EmptyArchiveIsOpened) {
  const std::string bytes = Zip({});
  ASSERT_OK_AND_ASSIGN(const ZipArchive archive, ZipArchive::Open(bytes));
  EXPECT_THAT(archive.records(), IsEmpty());
}

TEST(ZipArchiveTest, CommentIsAllowed) {
  EXPECT_OK(ZipArchive::Open(Zip({{"x", "y"}}, {.comment = "PK\5\6 comment"}))
                .status());
  ExpectRefused(Zip({{"x", "y"}}) + "trailing", "its end is missing");
}

TEST(ZipArchiveTest, Zip64SizesAreRead) {
  // The sizes and the offset say "look in the extra field", which has them
  // after a field of another kind.
  ZipEntry entry = {"x", "hello"};
  entry.size = 0xFFFFFFFF;
  entry.local_offset = 0xFFFFFFFF;
  entry.extra =
      absl::StrCat(Number(9, 2), Number(2, 2), "ab", Number(1, 2),
                   Number(24, 2), Number(5, 8), Number(5, 8), Number(0, 8));
  const std::string bytes = Zip({entry});
  ASSERT_OK_AND_ASSIGN(const ZipArchive archive, ZipArchive::Open(bytes));
  EXPECT_THAT(archive.ReadChecked(*archive.Find("x")), IsOkAndHolds("hello"));

  entry.extra =
      absl::StrCat(Number(1, 2), Number(16, 2), Number(5, 8), Number(5, 8));
  ExpectRefused(Zip({entry}), "zip64 field is missing or too short");
  entry.extra = "";
  ExpectRefused(Zip({entry}), "zip64 field is missing or too short");
}

TEST(ZipArchiveTest, WrongChecksumIsFoundWhenRead) {
  ZipEntry entry = {"x", "hello"};
  entry.crc32 = 1;
  const std::string bytes = Zip({entry});
  ASSERT_OK_AND_ASSIGN(const ZipArchive archive, ZipArchive::Open(bytes));
  EXPECT_THAT(archive.ReadChecked(*archive.Find("x")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("the checksum of record 'x' is wrong")));
}

TEST(ZipArchiveTest, ChecksumThatWasNotComputedIsUnset) {
  ZipEntry entry = {"x", "hello"};
  entry.crc32 = 0;
  const std::string bytes = Zip({entry});
  ASSERT_OK_AND_ASSIGN(const ZipArchive archive, ZipArchive::Open(bytes));
  EXPECT_FALSE(archive.Find("x")->crc32.has_value());
  EXPECT_THAT(archive.ReadChecked(*archive.Find("x")), IsOkAndHolds("hello"));
}

TEST(ZipArchiveTest, UnreadableRecordsSpoilNoOthers) {
  ZipEntry deflated = {"deflated", "xx"};
  deflated.method = 8;
  ZipEntry encrypted = {"encrypted", "xx"};
  encrypted.flags = 1;
  ZipEntry two_sizes = {"two_sizes", "xx"};
  two_sizes.stored_size = 1;
  const std::string bytes = Zip({deflated, encrypted, two_sizes, {"x", "y"}});
  ASSERT_OK_AND_ASSIGN(const ZipArchive archive, ZipArchive::Open(bytes));
  EXPECT_THAT(archive.ReadChecked(*archive.Find("x")), IsOkAndHolds("y"));
  EXPECT_THAT(archive.ReadChecked(*archive.Find("deflated")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("save it again with torch.save")));
  EXPECT_THAT(
      archive.ReadChecked(*archive.Find("encrypted")),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("encrypted")));
  EXPECT_THAT(archive.ReadChecked(*archive.Find("two_sizes")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("has two sizes, 2 and 1")));
}

TEST(ZipArchiveTest, DuplicateNamesAreRefused) {
  ExpectRefused(Zip({{"x", "a"}, {"x", "b"}}), "two records are named 'x'");
}

TEST(ZipArchiveTest, OverlappingRecordsAreRefused) {
  // The second record claims to stand inside of the first one's data.
  const std::string inner = Zip({{"b", "12"}});
  ZipEntry outer = {"a", inner};
  ZipEntry thief = {"b", "12"};
  thief.local_offset = 31;  // behind the header and the name of the first
  ExpectRefused(Zip({outer, thief}), "two records overlap");
}

TEST(ZipArchiveTest, RecordsOutsideOfTheFileAreRefused) {
  ZipEntry entry = {"x", "hello"};
  entry.size = 6;
  ExpectRefused(Zip({entry}), "the record 'x' of 6 bytes reaches past");
  entry.size = 0xFFFFFFFE;
  ExpectRefused(Zip({entry}), "reaches past its archive");
  entry.size.reset();
  entry.local_offset = 1;
  ExpectRefused(Zip({entry}), "no record where the directory puts 'x'");
  entry.local_offset = 0xFFFFFFF0;
  ExpectRefused(Zip({entry}), "no record where the directory puts 'x'");
}

TEST(ZipArchiveTest, OtherNameInTheLocalHeaderIsRefused) {
  ZipEntry entry = {"x", "hello"};
  entry.local_name = "y";
  ExpectRefused(Zip({entry}), "the record has another name than 'x'");
}

TEST(ZipArchiveTest, LyingDirectoriesAreRefused) {
  const std::vector<ZipEntry> entries = {{"x", "hello"}};
  ExpectRefused(Zip(entries, {.num_records = 2}), "too small for 2 records");
  ExpectRefused(Zip(entries, {.num_records = 0}), "has more than its records");
  ExpectRefused(Zip(entries, {.num_records = 0xFFFF}), "too small");
  ExpectRefused(Zip(entries, {.directory_offset = 1}), "no directory entry");
  ExpectRefused(Zip(entries, {.directory_offset = 0xFFFFFFFF}), "outside");
  ExpectRefused(Zip(entries, {.directory_size = 0xFFFFFFFF}), "outside");
  ExpectRefused(Zip(entries, {.directory_size = 46}), "is cut short");
}

TEST(ZipArchiveTest, EveryTruncationIsRefused) {
  const std::string bytes = Zip({{"a/data.pkl", "N."}, {"a/data/0", "1234"}});
  for (size_t size = 0; size < bytes.size(); ++size) {
    ExpectRefused(bytes.substr(0, size), "malformed zip");
  }
}

}  // namespace
}  // namespace warmstart::format
