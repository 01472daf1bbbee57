#include "server/format/torch/zip_writer.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/format/little_endian.h"

namespace warmstart::format {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int64_t kFourGiB = int64_t{1} << 32;

TEST(ZipWriterTest, EmptyArchiveHasItsEnds) {
  const FileLayout layout = ZipLayout("a").Finish();
  ASSERT_THAT(layout.segments, SizeIs(1));
  EXPECT_EQ(layout.num_bytes, 56 + 20 + 22);
}

TEST(ZipWriterTest, LiteralsBetweenBlobsAreOneSegment) {
  ZipLayout zip("a");
  zip.AddLiteral("x", "123");
  zip.AddLiteral("y", "456");
  zip.AddBlob("z", Digest::Of("blob"), 4, 7);
  zip.AddLiteral("w", "789");
  const FileLayout layout = std::move(zip).Finish();
  ASSERT_THAT(layout.segments, SizeIs(3));
  EXPECT_FALSE(layout.segments[0].is_blob);
  EXPECT_TRUE(layout.segments[1].is_blob);
  EXPECT_EQ(layout.segments[1].blob, Digest::Of("blob"));
  EXPECT_EQ(layout.segments[1].num_bytes, 4);
  EXPECT_FALSE(layout.segments[2].is_blob);
  int64_t sum = 0;
  for (const Segment& segment : layout.segments) {
    if (!segment.is_blob) {
      EXPECT_EQ(segment.num_bytes,
                static_cast<int64_t>(segment.literal.size()));
    }
    sum += segment.num_bytes;
  }
  EXPECT_EQ(layout.num_bytes, sum);
}

TEST(ZipWriterTest, EveryRecordStartsAtAMultipleOf64) {
  for (int length = 1; length < 140; ++length) {
    ZipLayout zip("a");
    zip.AddBlob(std::string(length, 'n'), Digest::Of("blob"), 4, 7);
    const FileLayout layout = std::move(zip).Finish();
    EXPECT_EQ(layout.segments[0].num_bytes % 64, 0) << length;
  }
}

TEST(ZipWriterTest, BlobWithoutBytesIsARecordWithoutSegmentOrDescriptor) {
  ZipLayout zip("a");
  zip.AddBlob("z", Digest::Of(""), 0, 0);
  const FileLayout layout = std::move(zip).Finish();
  ASSERT_THAT(layout.segments, SizeIs(1));
  EXPECT_THAT(layout.segments[0].literal, HasSubstr("a/z"));
  EXPECT_THAT(layout.segments[0].literal, Not(HasSubstr("PK\x07\x08")));
}

// The zip64 form is checked against PyTorch's by check_written_files.py; this
// says when it comes.
std::string LocalExtraOfSecondRecord(int64_t first, int64_t second) {
  ZipLayout zip("a");
  zip.AddBlob("x", Digest::Of("x"), first, 0);
  zip.AddBlob("y", Digest::Of("y"), second, 0);
  const FileLayout layout = std::move(zip).Finish();
  const std::string& bytes = layout.segments[2].literal;
  const size_t header = bytes.find("PK\x03\x04");
  const uint16_t name = LoadLittleEndian<uint16_t>(bytes.data() + header + 26);
  const uint16_t extra = LoadLittleEndian<uint16_t>(bytes.data() + header + 28);
  return bytes.substr(header + 30 + name, extra);
}

TEST(ZipWriterTest, SmallRecordsHaveNoZip64Fields) {
  EXPECT_EQ(LocalExtraOfSecondRecord(1, 1).substr(0, 2), "FB");
}

TEST(ZipWriterTest, LargeRecordHasItsSizesInZip64) {
  const std::string extra = LocalExtraOfSecondRecord(1, kFourGiB - 1);
  EXPECT_EQ(LoadLittleEndian<uint16_t>(extra.data()), 1);
  EXPECT_EQ(LoadLittleEndian<uint16_t>(extra.data() + 2), 16);
  EXPECT_EQ(LoadLittleEndian<uint64_t>(extra.data() + 4),
            static_cast<uint64_t>(kFourGiB - 1));
  EXPECT_EQ(extra.substr(20, 2), "FB");
}

TEST(ZipWriterTest, FarRecordHasItsOffsetInZip64) {
  const std::string extra = LocalExtraOfSecondRecord(kFourGiB, 1);
  EXPECT_EQ(LoadLittleEndian<uint16_t>(extra.data() + 2), 8);
  EXPECT_GT(LoadLittleEndian<uint64_t>(extra.data() + 4),
            static_cast<uint64_t>(kFourGiB));
  EXPECT_EQ(extra.substr(12, 2), "FB");
}

TEST(ZipWriterTest, LargeFarRecordHasBoth) {
  const std::string extra = LocalExtraOfSecondRecord(kFourGiB, kFourGiB);
  EXPECT_EQ(LoadLittleEndian<uint16_t>(extra.data() + 2), 24);
  EXPECT_EQ(extra.substr(28, 2), "FB");
}

TEST(ZipWriterTest, MoreRecordsThan16BitsCountAreInZip64) {
  ZipLayout zip("a");
  for (int i = 0; i < 65536; ++i) zip.AddLiteral(absl::StrCat(i), "");
  const FileLayout layout = std::move(zip).Finish();
  ASSERT_THAT(layout.segments, SizeIs(1));
  const std::string& bytes = layout.segments[0].literal;
  const char* end = bytes.data() + bytes.size() - 22;
  EXPECT_EQ(LoadLittleEndian<uint16_t>(end + 10), 0xFFFF);
  const char* zip64_end = end - 20 - 56;
  EXPECT_EQ(LoadLittleEndian<uint64_t>(zip64_end + 32), 65536u);
}

}  // namespace
}  // namespace warmstart::format
