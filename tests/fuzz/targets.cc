#include "tests/fuzz/targets.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/format/file_contents.h"
#include "server/format/reader.h"
#include "server/format/safetensors/safetensors_reader.h"
#include "server/format/torch/torch_legacy_reader.h"
#include "server/format/torch/torch_tar_reader.h"
#include "server/format/torch/torch_zip_reader.h"
#include "server/format/torch/zip_writer.h"
#include "server/format/writer.h"
#include "tests/fuzz/contents_checks.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/round_trip.h"

namespace warmstart::fuzz {
namespace {

using format::FileContents;
using format::FileView;

constexpr Target kTargets[] = {
    {"fuzz_pickle", FuzzPickle},
    {"fuzz_safetensors", FuzzSafetensors},
    {"fuzz_safetensors_header", FuzzSafetensorsHeader},
    {"fuzz_sharded_set", FuzzShardedSet},
    {"fuzz_torch_legacy", FuzzTorchLegacy},
    {"fuzz_torch_tar", FuzzTorchTar},
    {"fuzz_torch_zip", FuzzTorchZip},
};

void Check(absl::Span<const FileView> files,
           const absl::StatusOr<FileContents>& contents) {
  if (!contents.ok()) {
    RequireRefusal(contents.status());
    return;
  }
  constexpr int64_t kMaxBytes = 1 << 20;
  CheckContents(files, *contents);
  for (const format::FileTensor& tensor : contents->tensors) {
    ReadValues(files, *contents, tensor, kMaxBytes);
  }
  CheckRoundTrip(files, *contents);
}

void CheckFile(absl::string_view bytes,
               absl::StatusOr<FileContents> (*read)(const FileView&)) {
  const FileView file = {"input", bytes};
  Check({&file, 1}, read(file));
  // Which may find another format in it, and names the file when it refuses.
  const absl::StatusOr<FileContents> dispatched = format::ReadFiles({&file, 1});
  if (dispatched.ok()) {
    CheckContents({&file, 1}, *dispatched);
  } else {
    RequireRefusal(dispatched.status());
  }
}

// Without the byte after the end that a std::string has, so that reading it is
// found.
class ExactBytes {
 public:
  explicit ExactBytes(absl::string_view bytes)
      : bytes_(bytes.begin(), bytes.end()) {}
  absl::string_view view() const {
    return absl::string_view(bytes_.data(), bytes_.size());
  }

 private:
  std::vector<char> bytes_;
};

std::string SafetensorsFile(absl::string_view header, absl::string_view data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>(uint64_t{header.size()} >> (8 * i)));
  }
  absl::StrAppend(&bytes, header, data);
  return bytes;
}

// The end of the data by the header's own account, if that is a small number:
// then the file is complete.
size_t DataSize(absl::string_view header) {
  size_t largest = 0;
  size_t number = 0;
  for (char c : header) {
    const bool is_digit = c >= '0' && c <= '9';
    number = is_digit && number < 100'000 ? number * 10 + (c - '0') : 0;
    if (number <= 4096) largest = std::max(largest, number);
  }
  return largest;
}

// A safetensors shard with a byte for each key, however odd the keys are.
std::string ShardOfKeys(absl::string_view lines) {
  std::vector<std::string> members;
  size_t end = 0;
  for (absl::string_view key : absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
    members.push_back(absl::StrCat(
        "\"", key, "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[", end,
        ",", end + 1, "]}"));
    ++end;
  }
  return SafetensorsFile(absl::StrCat("{", absl::StrJoin(members, ","), "}"),
                         std::string(end, 'v'));
}

}  // namespace

void FuzzTorchZip(absl::string_view input) {
  CheckFile(input, format::ReadTorchZip);
}

void FuzzTorchLegacy(absl::string_view input) {
  CheckFile(input, format::ReadTorchLegacy);
}

void FuzzTorchTar(absl::string_view input) {
  CheckFile(input, format::ReadTorchTar);
}

void FuzzSafetensors(absl::string_view input) {
  CheckFile(input, format::ReadSafetensors);
}

void FuzzPickle(absl::string_view input) {
  const size_t end = std::min(input.rfind(kStorageSizes), input.size());
  absl::string_view sizes = input.substr(end);
  absl::ConsumePrefix(&sizes, kStorageSizes);
  format::ZipLayout zip("archive");
  zip.AddLiteral("data.pkl", input.substr(0, end));
  zip.AddLiteral("byteorder", "little");
  int number = 0;
  for (absl::string_view text : absl::StrSplit(sizes, ',')) {
    constexpr uint32_t kMaxSize = 1 << 14;
    uint32_t size = 0;
    if (number == 64 || !absl::SimpleAtoi(text, &size)) break;
    zip.AddLiteral(absl::StrCat("data/", number++),
                   std::string(std::min(size, kMaxSize), 'v'));
  }
  zip.AddLiteral("version", "3\n");
  const format::FileLayout layout = std::move(zip).Finish();
  Require(layout.segments.size() == 1, "an archive of literals is a literal");
  const ExactBytes file(layout.segments[0].literal);
  CheckFile(file.view(), format::ReadTorchZip);
}

void FuzzSafetensorsHeader(absl::string_view input) {
  const ExactBytes file(
      SafetensorsFile(input, std::string(DataSize(input), 'v')));
  CheckFile(file.view(), format::ReadSafetensors);
}

void FuzzShardedSet(absl::string_view input) {
  std::vector<std::string> names;
  std::vector<ExactBytes> bytes;
  for (absl::string_view part :
       absl::StrSplit(input, absl::ByString(kFileSeparator))) {
    const std::pair<absl::string_view, absl::string_view> file =
        absl::StrSplit(part, absl::MaxSplits('\n', 1));
    absl::string_view content = file.second;
    names.emplace_back(file.first);
    bytes.emplace_back(absl::ConsumePrefix(&content, kShardOfKeys)
                           ? ShardOfKeys(content)
                           : std::string(content));
  }
  std::vector<FileView> files;
  files.reserve(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    files.push_back({names[i], bytes[i].view()});
  }
  Check(files, format::ReadFiles(files));
}

absl::Span<const Target> Targets() { return kTargets; }

}  // namespace warmstart::fuzz
