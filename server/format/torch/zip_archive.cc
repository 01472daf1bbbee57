#include "server/format/torch/zip_archive.h"

#include <libdeflate.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/little_endian.h"

namespace warmstart::format {
namespace {

// Sizes of the fixed parts, and signatures, of the structures that APPNOTE.TXT
// (the definition of the format) describes.
constexpr size_t kEndSize = 22;
constexpr size_t kEnd64LocatorSize = 20;
constexpr size_t kEnd64Size = 56;
constexpr size_t kEntrySize = 46;
constexpr size_t kLocalSize = 30;
constexpr absl::string_view kEndSignature("PK\5\6", 4);
constexpr absl::string_view kEnd64LocatorSignature("PK\6\7", 4);
constexpr absl::string_view kEnd64Signature("PK\6\6", 4);
constexpr absl::string_view kEntrySignature("PK\1\2", 4);
constexpr absl::string_view kLocalSignature("PK\3\4", 4);
constexpr size_t kMaxCommentSize = 0xFFFF;
constexpr uint16_t kZip64ExtraId = 1;
constexpr uint16_t kEncryptedFlag = 1;

absl::Status Error(absl::string_view what, uint64_t offset) {
  return absl::InvalidArgumentError(
      absl::StrCat("malformed zip: ", what, ", at byte ", offset));
}

struct Directory {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint64_t num_records = 0;
};

// One entry of the central directory.
struct Entry {
  absl::string_view name;
  uint16_t flags = 0;
  uint16_t method = 0;
  uint32_t crc32 = 0;
  uint64_t stored_size = 0;
  uint64_t size = 0;
  uint64_t local_offset = 0;
};

absl::StatusOr<size_t> FindEnd(absl::string_view bytes) {
  if (bytes.size() < kEndSize) return Error("it is too short", 0);
  const size_t last = bytes.size() - kEndSize;
  const size_t first = last - std::min(last, kMaxCommentSize);
  for (size_t at = last + 1; at-- > first;) {
    if (bytes.substr(at, 4) != kEndSignature) continue;
    const size_t comment = LoadLittleEndian<uint16_t>(&bytes[at + 20]);
    if (at + kEndSize + comment == bytes.size()) return at;
  }
  return Error("its end is missing; the file was probably cut short",
               bytes.size());
}

// The zip64 form of the end record, where the locator before `end` points to
// one.
absl::StatusOr<std::optional<size_t>> FindEnd64(absl::string_view bytes,
                                                size_t end) {
  if (end < kEnd64LocatorSize) return std::optional<size_t>();
  const size_t locator = end - kEnd64LocatorSize;
  if (bytes.substr(locator, 4) != kEnd64LocatorSignature) {
    return std::optional<size_t>();
  }
  const uint64_t at = LoadLittleEndian<uint64_t>(&bytes[locator + 8]);
  if (at > locator || locator - at < kEnd64Size ||
      bytes.substr(at, 4) != kEnd64Signature) {
    return Error("the zip64 end record is not where it should be", locator);
  }
  return std::optional<size_t>(at);
}

absl::StatusOr<Directory> FindDirectory(absl::string_view bytes) {
  ASSIGN_OR_RETURN(const size_t end, FindEnd(bytes));
  ASSIGN_OR_RETURN(const std::optional<size_t> end64, FindEnd64(bytes, end));
  Directory directory;
  bool other_disks;
  if (end64) {
    const char* record = &bytes[*end64];
    other_disks = LoadLittleEndian<uint64_t>(record + 16) != 0;
    directory.num_records = LoadLittleEndian<uint64_t>(record + 32);
    directory.size = LoadLittleEndian<uint64_t>(record + 40);
    directory.offset = LoadLittleEndian<uint64_t>(record + 48);
  } else {
    const char* record = &bytes[end];
    other_disks = LoadLittleEndian<uint32_t>(record + 4) != 0;
    directory.num_records = LoadLittleEndian<uint16_t>(record + 10);
    directory.size = LoadLittleEndian<uint32_t>(record + 12);
    directory.offset = LoadLittleEndian<uint32_t>(record + 16);
  }
  const size_t limit = end64.value_or(end);
  if (other_disks) return Error("it has several disks", end);
  if (directory.offset > limit || directory.size > limit - directory.offset) {
    return Error("the central directory lies outside of the file", end);
  }
  if (directory.num_records > directory.size / kEntrySize) {
    return Error(absl::StrCat("the central directory is too small for ",
                              directory.num_records, " records"),
                 end);
  }
  return directory;
}

// Replaces the sizes and the offset that say "see the zip64 extra field".
absl::Status ApplyZip64(absl::string_view extra, uint64_t offset,
                        Entry& entry) {
  std::vector<uint64_t*> wanted;
  for (uint64_t* field :
       {&entry.size, &entry.stored_size, &entry.local_offset}) {
    if (*field == UINT32_MAX) wanted.push_back(field);
  }
  while (!wanted.empty() && extra.size() >= 4) {
    const uint16_t id = LoadLittleEndian<uint16_t>(&extra[0]);
    const size_t size = LoadLittleEndian<uint16_t>(&extra[2]);
    if (size > extra.size() - 4) break;
    if (id != kZip64ExtraId) {
      extra.remove_prefix(4 + size);
      continue;
    }
    if (size < 8 * wanted.size()) break;
    for (size_t i = 0; i < wanted.size(); ++i) {
      *wanted[i] = LoadLittleEndian<uint64_t>(&extra[4 + 8 * i]);
    }
    return absl::OkStatus();
  }
  if (wanted.empty()) return absl::OkStatus();
  return Error("a record's zip64 field is missing or too short", offset);
}

// Reads the entry at `at` and moves `at` behind it.
absl::StatusOr<Entry> ReadEntry(absl::string_view directory, uint64_t start,
                                size_t& at) {
  const absl::string_view rest = directory.substr(at);
  if (rest.size() < kEntrySize || rest.substr(0, 4) != kEntrySignature) {
    return Error("no directory entry where one should be", start + at);
  }
  Entry entry;
  entry.flags = LoadLittleEndian<uint16_t>(&rest[8]);
  entry.method = LoadLittleEndian<uint16_t>(&rest[10]);
  entry.crc32 = LoadLittleEndian<uint32_t>(&rest[16]);
  entry.stored_size = LoadLittleEndian<uint32_t>(&rest[20]);
  entry.size = LoadLittleEndian<uint32_t>(&rest[24]);
  entry.local_offset = LoadLittleEndian<uint32_t>(&rest[42]);
  const size_t name_size = LoadLittleEndian<uint16_t>(&rest[28]);
  const size_t extra_size = LoadLittleEndian<uint16_t>(&rest[30]);
  const size_t comment_size = LoadLittleEndian<uint16_t>(&rest[32]);
  if (name_size + extra_size + comment_size > rest.size() - kEntrySize) {
    return Error("a directory entry is cut short", start + at);
  }
  entry.name = rest.substr(kEntrySize, name_size);
  RETURN_IF_ERROR(ApplyZip64(rest.substr(kEntrySize + name_size, extra_size),
                             start + at, entry));
  at += kEntrySize + name_size + extra_size + comment_size;
  return entry;
}

absl::Status CheckReadable(const Entry& entry) {
  const auto error = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the zip record ", QuoteForMessage(entry.name), " ", what));
  };
  if ((entry.flags & kEncryptedFlag) != 0) return error("is encrypted");
  if (entry.method != 0) {
    return error(
        "is compressed, which torch.save never does; load the file in Python "
        "and save it again with torch.save");
  }
  if (entry.size != entry.stored_size) {
    return error(absl::StrCat("has two sizes, ", entry.size, " and ",
                              entry.stored_size));
  }
  return absl::OkStatus();
}

// The record that `entry` points to. All records lie before the directory.
absl::StatusOr<ZipRecord> LocateRecord(absl::string_view before_directory,
                                       const Entry& entry) {
  const uint64_t at = entry.local_offset;
  const uint64_t limit = before_directory.size();
  if (at > limit || limit - at < kLocalSize ||
      before_directory.substr(at, 4) != kLocalSignature) {
    return Error(absl::StrCat("no record where the directory puts ",
                              QuoteForMessage(entry.name)),
                 at);
  }
  const size_t name_size =
      LoadLittleEndian<uint16_t>(&before_directory[at + 26]);
  const size_t extra_size =
      LoadLittleEndian<uint16_t>(&before_directory[at + 28]);
  const uint64_t header_size = kLocalSize + name_size + extra_size;
  if (limit - at < header_size ||
      before_directory.substr(at + kLocalSize, name_size) != entry.name) {
    return Error(absl::StrCat("the record has another name than ",
                              QuoteForMessage(entry.name)),
                 at);
  }
  if (entry.stored_size > limit - at - header_size) {
    return Error(
        absl::StrCat("the record ", QuoteForMessage(entry.name), " of ",
                     entry.stored_size, " bytes reaches past its archive"),
        at);
  }
  ZipRecord record;
  record.name = entry.name;
  record.offset = static_cast<int64_t>(at + header_size);
  record.num_bytes = static_cast<int64_t>(entry.stored_size);
  record.readable = CheckReadable(entry);
  if (entry.crc32 != 0 || entry.size == 0) record.crc32 = entry.crc32;
  return record;
}

absl::Status CheckNoOverlap(
    std::vector<std::pair<uint64_t, uint64_t>> extents) {
  std::sort(extents.begin(), extents.end());
  for (size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].first < extents[i - 1].second) {
      return Error("two records overlap", extents[i].first);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ZipArchive> ZipArchive::Open(absl::string_view bytes) {
  ASSIGN_OR_RETURN(const Directory directory, FindDirectory(bytes));
  const absl::string_view entries =
      bytes.substr(directory.offset, directory.size);
  const absl::string_view before = bytes.substr(0, directory.offset);
  ZipArchive archive(bytes);
  archive.records_.reserve(directory.num_records);
  archive.by_name_.reserve(directory.num_records);
  std::vector<std::pair<uint64_t, uint64_t>> extents;
  extents.reserve(directory.num_records);
  size_t at = 0;
  for (uint64_t i = 0; i < directory.num_records; ++i) {
    ASSIGN_OR_RETURN(const Entry entry,
                     ReadEntry(entries, directory.offset, at));
    ASSIGN_OR_RETURN(ZipRecord record, LocateRecord(before, entry));
    extents.emplace_back(entry.local_offset, record.offset + record.num_bytes);
    if (!archive.by_name_.emplace(record.name, archive.records_.size())
             .second) {
      return Error(
          absl::StrCat("two records are named ", QuoteForMessage(record.name)),
          entry.local_offset);
    }
    archive.records_.push_back(std::move(record));
  }
  if (at != entries.size()) {
    return Error("the central directory has more than its records",
                 directory.offset + at);
  }
  RETURN_IF_ERROR(CheckNoOverlap(std::move(extents)));
  return archive;
}

const ZipRecord* ZipArchive::Find(absl::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &records_[found->second];
}

absl::StatusOr<absl::string_view> ZipArchive::ReadChecked(
    const ZipRecord& record) const {
  RETURN_IF_ERROR(record.readable);
  const absl::string_view data = bytes_.substr(record.offset, record.num_bytes);
  if (record.crc32 &&
      libdeflate_crc32(0, data.data(), data.size()) != *record.crc32) {
    return Error(absl::StrCat("the checksum of record ",
                              QuoteForMessage(record.name), " is wrong"),
                 record.offset);
  }
  return data;
}

}  // namespace warmstart::format
