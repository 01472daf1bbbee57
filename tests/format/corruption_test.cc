// Damages small files that PyTorch wrote, at every byte and every bit, and
// checks that the reader neither crashes nor believes what it should not.

#include <libdeflate.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/format/reader.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

std::string ReadTestdata(const std::string& name) {
  std::ifstream stream(absl::StrCat(WARMSTART_FORMAT_TESTDATA, "/", name),
                       std::ios::binary);
  EXPECT_TRUE(stream) << name;
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  return bytes.str();
}

// What the user of a reader does: looks at every value, and compares checksums
// where there are some.
struct Outcome {
  bool read = false;
  bool checksums_match = true;
  std::string values;  // with their keys and specs
};

Outcome ReadAll(const std::string& bytes) {
  const std::vector<FileView> files = {{"damaged.pt", bytes}};
  const absl::StatusOr<FileContents> contents = ReadFiles(files);
  Outcome outcome;
  if (!contents.ok()) {
    EXPECT_EQ(contents.status().code(), absl::StatusCode::kInvalidArgument);
    return outcome;
  }
  outcome.read = true;
  for (const FileStorage& storage : contents->storages) {
    const absl::string_view data = StorageBytes(files, storage);
    EXPECT_EQ(static_cast<int64_t>(data.size()), storage.num_bytes);
    outcome.checksums_match &=
        !storage.crc32.has_value() ||
        libdeflate_crc32(0, data.data(), data.size()) == *storage.crc32;
  }
  for (const FileTensor& tensor : contents->tensors) {
    absl::StrAppend(&outcome.values, tensor.key, tensor.spec.ToString());
    EXPECT_OK(
        ForEachPiece(*contents, files, tensor, [&](absl::string_view piece) {
          absl::StrAppend(&outcome.values, piece);
          return absl::OkStatus();
        }));
  }
  return outcome;
}

// Without the empty blocks that Python puts at the end of a tar: they mean
// nothing, and there are many.
std::string WithoutEmptyBlocks(std::string bytes) {
  constexpr size_t kBlock = 512;
  const size_t size = bytes.find_last_not_of('\0') + 1;
  bytes.resize((size + kBlock - 1) / kBlock * kBlock);
  return bytes;
}

class CorruptionTest : public ::testing::TestWithParam<const char*> {
 protected:
  CorruptionTest() : name_(GetParam()), bytes_(ReadTestdata(name_)) {
    if (absl::StrContains(name_, ".tar.")) bytes_ = WithoutEmptyBlocks(bytes_);
  }

  const std::string name_;
  std::string bytes_;
};

TEST_P(CorruptionTest, TruncationsAreRefused) {
  for (size_t size = 0; size < bytes_.size(); ++size) {
    EXPECT_FALSE(ReadAll(bytes_.substr(0, size)).read) << size;
  }
}

TEST_P(CorruptionTest, FlippedBitsDoNoHarm) {
  const Outcome original = ReadAll(bytes_);
  ASSERT_TRUE(original.read);
  ASSERT_TRUE(original.checksums_match);
  const bool has_checksums = absl::StrContains(name_, ".zip.");
  std::string damaged = bytes_;
  int unnoticed = 0;
  for (size_t bit = 0; bit < 8 * damaged.size(); ++bit) {
    damaged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    const Outcome outcome = ReadAll(damaged);
    // Where there are checksums, what passes them is what was saved.
    if (has_checksums && outcome.read && outcome.checksums_match) {
      EXPECT_TRUE(outcome.values == original.values) << "bit " << bit;
      ++unnoticed;
    }
    damaged[bit / 8] ^= static_cast<char>(1 << bit % 8);
  }
  if (has_checksums) {
    // Paddings, dates and versions, which nobody reads.
    EXPECT_GT(unnoticed, 0);
  }
}

TEST_P(CorruptionTest, OverwrittenNumbersDoNoHarm) {
  for (uint64_t value : {~uint64_t{0}, uint64_t{1} << 63, uint64_t{1} << 31}) {
    for (size_t at = 0; at + 8 <= bytes_.size(); ++at) {
      std::string damaged = bytes_;
      for (int i = 0; i < 8; ++i) {
        damaged[at + i] = static_cast<char>(value >> (8 * i));
      }
      ReadAll(damaged);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, CorruptionTest,
                         ::testing::Values("tied.zip.pt", "tied.legacy.pt",
                                           "list.zip.pt", "list.legacy.pt",
                                           "protocol_1.legacy.pt",
                                           "tensors.tar.pt"),
                         [](const ::testing::TestParamInfo<const char*>& info) {
                           return absl::StrReplaceAll(info.param, {{".", "_"}});
                         });

}  // namespace
}  // namespace warmstart::format
