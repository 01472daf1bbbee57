#include "server/format/torch/zip_writer.h"

#include <libdeflate.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace warmstart::format {
namespace {

constexpr uint32_t kLocalHeaderSignature = 0x04034b50;
constexpr uint32_t kDescriptorSignature = 0x08074b50;
constexpr uint32_t kDirectorySignature = 0x02014b50;
constexpr uint32_t kZip64EndSignature = 0x06064b50;
constexpr uint32_t kZip64LocatorSignature = 0x07064b50;
constexpr uint32_t kEndSignature = 0x06054b50;

constexpr uint16_t kFlagDescriptor = 1 << 3;
constexpr uint16_t kFlagUtf8 = 1 << 11;
constexpr uint16_t kZip64ExtraId = 1;

// A field of this value says that the real one is in the zip64 extra field.
constexpr uint64_t kMax16 = 0xFFFF;
constexpr uint64_t kMax32 = 0xFFFFFFFF;

constexpr uint64_t kAlignment = 64;
constexpr uint64_t kLocalHeaderBytes = 30;

void Append(std::string& out, uint64_t value, int num_bytes) {
  for (int i = 0; i < num_bytes; ++i) {
    out.push_back(static_cast<char>(value >> (8 * i)));
  }
}
void Append16(std::string& out, uint64_t value) { Append(out, value, 2); }
void Append32(std::string& out, uint64_t value) { Append(out, value, 4); }
void Append64(std::string& out, uint64_t value) { Append(out, value, 8); }

bool IsLarge(uint64_t value) { return value >= kMax32; }

// Empty unless the record's size or offset is large.
std::string Zip64Extra(uint64_t num_bytes, uint64_t compressed_num_bytes,
                       uint64_t offset) {
  std::string values;
  if (IsLarge(num_bytes)) {
    Append64(values, num_bytes);
    Append64(values, compressed_num_bytes);
  }
  if (IsLarge(offset)) Append64(values, offset);
  if (values.empty()) return values;

  std::string extra;
  Append16(extra, kZip64ExtraId);
  Append16(extra, values.size());
  return extra + values;
}

// An extra field of an id of PyTorch's own, as long as it takes for the record
// to start aligned. `start` is where the record would start without it.
std::string PaddingExtra(uint64_t start) {
  constexpr uint64_t kExtraHeaderBytes = 4;
  const uint64_t padding =
      (kAlignment - (start + kExtraHeaderBytes) % kAlignment) % kAlignment;
  std::string extra = "FB";
  Append16(extra, padding);
  extra.append(padding, 'Z');
  return extra;
}

uint16_t Flags(uint64_t num_bytes) {
  return num_bytes == 0 ? kFlagUtf8 : kFlagUtf8 | kFlagDescriptor;
}

}  // namespace

ZipLayout::ZipLayout(absl::string_view folder)
    : prefix_(absl::StrCat(folder, "/")) {}

void ZipLayout::AddLiteral(absl::string_view name, absl::string_view bytes) {
  StartRecord(name, static_cast<int64_t>(bytes.size()),
              libdeflate_crc32(0, bytes.data(), bytes.size()));
  absl::StrAppend(&literal_, bytes);
  EndRecord();
}

void ZipLayout::AddBlob(absl::string_view name, const Digest& digest,
                        int64_t num_bytes, uint32_t crc32) {
  StartRecord(name, num_bytes, crc32);
  if (num_bytes > 0) {
    FlushLiteral();
    Segment segment;
    segment.is_blob = true;
    segment.blob = digest;
    segment.num_bytes = num_bytes;
    layout_.segments.push_back(std::move(segment));
    layout_.num_bytes += num_bytes;
  }
  EndRecord();
}

void ZipLayout::StartRecord(absl::string_view name, int64_t num_bytes,
                            uint32_t crc32) {
  Record record;
  record.name = absl::StrCat(prefix_, name);
  record.offset = offset();
  record.num_bytes = static_cast<uint64_t>(num_bytes);
  record.crc32 = crc32;

  // The compressed size is left to the descriptor here, too.
  std::string extra = Zip64Extra(record.num_bytes, 0, record.offset);
  absl::StrAppend(&extra, PaddingExtra(record.offset + kLocalHeaderBytes +
                                       record.name.size() + extra.size()));

  Append32(literal_, kLocalHeaderSignature);
  Append16(literal_, 0);  // version needed
  Append16(literal_, Flags(record.num_bytes));
  Append16(literal_, 0);  // method: stored
  Append32(literal_, 0);  // time and date
  Append32(literal_, 0);  // the CRC and
  Append32(literal_, 0);  // compressed and
  Append32(literal_, 0);  // uncompressed size are in the descriptor
  Append16(literal_, record.name.size());
  Append16(literal_, extra.size());
  absl::StrAppend(&literal_, record.name, extra);
  records_.push_back(std::move(record));
}

void ZipLayout::EndRecord() {
  const Record& record = records_.back();
  if (record.num_bytes == 0) return;
  const int size_bytes =
      IsLarge(record.num_bytes) || IsLarge(record.offset) ? 8 : 4;
  Append32(literal_, kDescriptorSignature);
  Append32(literal_, record.crc32);
  Append(literal_, record.num_bytes, size_bytes);  // compressed
  Append(literal_, record.num_bytes, size_bytes);  // uncompressed
}

FileLayout ZipLayout::Finish() && {
  const uint64_t directory_offset = offset();
  AppendCentralDirectory();
  AppendEnd(directory_offset, offset() - directory_offset);
  FlushLiteral();
  return std::move(layout_);
}

void ZipLayout::AppendCentralDirectory() {
  for (const Record& record : records_) {
    const std::string extra =
        Zip64Extra(record.num_bytes, record.num_bytes, record.offset);
    Append32(literal_, kDirectorySignature);
    Append16(literal_, 0);  // version made by
    Append16(literal_, 0);  // version needed
    Append16(literal_, Flags(record.num_bytes));
    Append16(literal_, 0);  // method: stored
    Append32(literal_, 0);  // time and date
    Append32(literal_, record.crc32);
    Append32(literal_, std::min(record.num_bytes, kMax32));  // compressed
    Append32(literal_, std::min(record.num_bytes, kMax32));  // uncompressed
    Append16(literal_, record.name.size());
    Append16(literal_, extra.size());
    Append16(literal_, 0);  // comment
    Append16(literal_, 0);  // disk
    Append16(literal_, 0);  // internal attributes
    Append32(literal_, 0);  // external attributes
    Append32(literal_, std::min(record.offset, kMax32));
    absl::StrAppend(&literal_, record.name, extra);
  }
}

void ZipLayout::AppendEnd(uint64_t directory_offset, uint64_t directory_size) {
  constexpr uint64_t kZip64EndBytes = 44;  // of what follows that field
  const uint64_t zip64_end_offset = offset();
  Append32(literal_, kZip64EndSignature);
  Append64(literal_, kZip64EndBytes);
  Append16(literal_, 0x031e);  // version made by: Unix, 3.0
  Append16(literal_, 45);      // version needed: 4.5
  Append32(literal_, 0);       // this disk
  Append32(literal_, 0);       // the directory's disk
  Append64(literal_, records_.size());
  Append64(literal_, records_.size());
  Append64(literal_, directory_size);
  Append64(literal_, directory_offset);

  Append32(literal_, kZip64LocatorSignature);
  Append32(literal_, 0);  // its disk
  Append64(literal_, zip64_end_offset);
  Append32(literal_, 1);  // disks

  Append32(literal_, kEndSignature);
  Append16(literal_, 0);  // this disk
  Append16(literal_, 0);  // the directory's disk
  Append16(literal_, std::min<uint64_t>(records_.size(), kMax16));
  Append16(literal_, std::min<uint64_t>(records_.size(), kMax16));
  Append32(literal_, std::min(directory_size, kMax32));
  Append32(literal_, std::min(directory_offset, kMax32));
  Append16(literal_, 0);  // comment
}

void ZipLayout::FlushLiteral() {
  if (literal_.empty()) return;
  Segment segment;
  segment.num_bytes = static_cast<int64_t>(literal_.size());
  segment.literal = std::exchange(literal_, {});
  layout_.num_bytes += segment.num_bytes;
  layout_.segments.push_back(std::move(segment));
}

uint64_t ZipLayout::offset() const {
  return static_cast<uint64_t>(layout_.num_bytes) + literal_.size();
}

}  // namespace warmstart::format
