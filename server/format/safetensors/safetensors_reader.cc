#include "server/format/safetensors/safetensors_reader.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/little_endian.h"
#include "server/format/safetensors/safetensors_dtype.h"
#include "server/format/strict_json.h"
#include "server/model/utf8.h"

namespace warmstart::format {
namespace {

constexpr uint64_t kLengthBytes = 8;
// The header, a tensor's object, an array in it.
constexpr int kMaxDepth = 3;

struct HeaderEntry {
  std::string key;
  const SafetensorsDType* dtype = nullptr;
  std::vector<int64_t> shape;
  std::vector<uint64_t> data_offsets;  // begin, end
  bool has_shape = false;

  uint64_t begin() const { return data_offsets[0]; }
  uint64_t end() const { return data_offsets[1]; }
};

absl::Status TensorError(absl::string_view key, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("tensor ", QuoteForMessage(key), ": ", what));
}

// Turns the header's events into entries. What is checked here is each value on
// its own; what the values mean together is checked afterwards.
class HeaderParser {
 public:
  absl::Status On(const JsonEvent& event) {
    switch (event.depth) {
      case 0:
        return absl::OkStatus();  // ReadHeader saw that it is an object
      case 1:
        return OnMember(event);
      case 2:
        return in_metadata_ ? OnMetadata(event) : OnField(event);
      default:
        return OnElement(event);
    }
  }

  std::vector<HeaderEntry> TakeEntries() { return std::move(entries_); }
  std::string MetadataJson() const {
    return metadata_.empty() ? "" : metadata_.dump();
  }

 private:
  using Kind = JsonEvent::Kind;
  enum class Field { kDType, kShape, kDataOffsets };

  absl::Status OnMember(const JsonEvent& event) {
    switch (event.kind) {
      case Kind::kKey:
        in_metadata_ = event.text == kSafetensorsMetadataKey;
        if (in_metadata_) return absl::OkStatus();
        RETURN_IF_ERROR(CheckKey(event.text));
        entries_.push_back(HeaderEntry{std::string(event.text)});
        return absl::OkStatus();
      case Kind::kObjectStart:
        return absl::OkStatus();
      case Kind::kObjectEnd:
        return in_metadata_ ? absl::OkStatus() : CheckComplete();
      default:
        return in_metadata_
                   ? absl::InvalidArgumentError("__metadata__ is not an object")
                   : EntryError("is not an object");
    }
  }

  absl::Status OnMetadata(const JsonEvent& event) {
    if (event.kind == Kind::kKey) {
      metadata_key_ = std::string(event.text);
      return absl::OkStatus();
    }
    if (event.kind != Kind::kString) {
      return absl::InvalidArgumentError(
          absl::StrCat("__metadata__: the value of ",
                       QuoteForMessage(metadata_key_), " is not a string"));
    }
    metadata_[metadata_key_] = std::string(event.text);
    return absl::OkStatus();
  }

  absl::Status OnField(const JsonEvent& event) {
    HeaderEntry& entry = entries_.back();
    if (event.kind == Kind::kKey) return OnFieldName(event.text);
    switch (field_) {
      case Field::kDType:
        if (event.kind != Kind::kString) {
          return EntryError("dtype is not a string");
        }
        entry.dtype = FindSafetensorsDType(event.text);
        if (entry.dtype == nullptr) {
          return EntryError(
              absl::StrCat("unknown dtype ", QuoteForMessage(event.text)));
        }
        return absl::OkStatus();
      case Field::kShape:
        entry.has_shape = true;
        if (!IsArray(event)) return EntryError("shape is not an array");
        return absl::OkStatus();
      case Field::kDataOffsets:
        if (!IsArray(event)) return EntryError("data_offsets is not an array");
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  absl::Status OnFieldName(absl::string_view name) {
    if (name == "dtype") {
      field_ = Field::kDType;
    } else if (name == "shape") {
      field_ = Field::kShape;
    } else if (name == "data_offsets") {
      field_ = Field::kDataOffsets;
    } else {
      return EntryError(absl::StrCat("unknown field ", QuoteForMessage(name)));
    }
    return absl::OkStatus();
  }

  absl::Status OnElement(const JsonEvent& event) {
    HeaderEntry& entry = entries_.back();
    const absl::string_view field =
        field_ == Field::kShape ? "shape" : "data_offsets";
    if (event.kind != Kind::kUnsigned ||
        event.number > std::numeric_limits<int64_t>::max()) {
      return EntryError(
          absl::StrCat(field, " holds something other than sizes"));
    }
    if (field_ == Field::kShape) {
      // Here, so that a long list costs no memory; Shape::Create checks the
      // rest.
      if (entry.shape.size() == Shape::kMaxRank) {
        return EntryError(absl::StrCat("shape has more than ", Shape::kMaxRank,
                                       " dimensions"));
      }
      entry.shape.push_back(static_cast<int64_t>(event.number));
    } else {
      if (entry.data_offsets.size() == 2) {
        return EntryError("data_offsets has more than two elements");
      }
      entry.data_offsets.push_back(event.number);
    }
    return absl::OkStatus();
  }

  absl::Status CheckComplete() const {
    const HeaderEntry& entry = entries_.back();
    if (entry.dtype == nullptr) return EntryError("has no dtype");
    if (!entry.has_shape) return EntryError("has no shape");
    if (entry.data_offsets.size() != 2) {
      return EntryError("has no data_offsets of two elements");
    }
    return absl::OkStatus();
  }

  static bool IsArray(const JsonEvent& event) {
    return event.kind == Kind::kArrayStart || event.kind == Kind::kArrayEnd;
  }

  absl::Status EntryError(absl::string_view what) const {
    return TensorError(entries_.back().key, what);
  }

  std::vector<HeaderEntry> entries_;
  nlohmann::json metadata_ = nlohmann::json::object();
  bool in_metadata_ = false;
  std::string metadata_key_;
  Field field_ = Field::kDType;
};

absl::StatusOr<absl::string_view> ReadHeader(absl::string_view bytes) {
  if (bytes.size() < kLengthBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the file ends at byte ", bytes.size(),
                     ", inside the header's length"));
  }
  const uint64_t length = LoadLittleEndian<uint64_t>(bytes.data());
  if (length > kMaxSafetensorsHeaderBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the header claims ", length, " bytes; at most ",
                     kMaxSafetensorsHeaderBytes, " are allowed"));
  }
  if (length > bytes.size() - kLengthBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the file ends at byte ", bytes.size(),
                     ", inside the header, which claims ", length, " bytes"));
  }
  const absl::string_view header = bytes.substr(kLengthBytes, length);
  if (!absl::StartsWith(header, "{")) {
    return absl::InvalidArgumentError(
        "the header at byte 8 does not start with '{'");
  }
  if (!IsUtf8(header)) {
    return absl::InvalidArgumentError("the header is not valid UTF-8");
  }
  return header;
}

// The size of the entry's values, by its shape and type.
absl::StatusOr<uint64_t> SizeInBytes(const HeaderEntry& entry,
                                     const Shape& shape) {
  uint64_t bits = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(shape.num_elements()),
                             static_cast<uint64_t>(entry.dtype->bits), &bits)) {
    return TensorError(entry.key,
                       absl::StrCat("shape ", shape.ToString(), " of ",
                                    entry.dtype->name, " overflows"));
  }
  if (bits % 8 != 0) {
    return TensorError(
        entry.key,
        absl::StrCat("shape ", shape.ToString(), " of ", entry.dtype->name,
                     " is ", bits, " bits, which is no whole bytes"));
  }
  return bits / 8;
}

// Whether the entry's data starts where the data before it ended, and is as
// long as its shape and type say.
absl::Status CheckExtent(const HeaderEntry& entry, const Shape& shape,
                         uint64_t previous_end, uint64_t data_size) {
  if (entry.begin() > entry.end()) {
    return TensorError(entry.key,
                       absl::StrCat("data_offsets [", entry.begin(), ", ",
                                    entry.end(), "] end before they begin"));
  }
  if (entry.end() > data_size) {
    return TensorError(
        entry.key,
        absl::StrCat("data_offsets [", entry.begin(), ", ", entry.end(),
                     "] reach past the end of the data, which has ", data_size,
                     " bytes"));
  }
  if (entry.begin() < previous_end) {
    return TensorError(
        entry.key,
        absl::StrCat("data_offsets [", entry.begin(), ", ", entry.end(),
                     "] overlap another tensor, which ends at ", previous_end));
  }
  if (entry.begin() > previous_end) {
    return TensorError(
        entry.key,
        absl::StrCat("bytes ", previous_end, " to ", entry.begin(),
                     " of the data, before it, belong to no tensor"));
  }
  ASSIGN_OR_RETURN(const uint64_t size, SizeInBytes(entry, shape));
  if (entry.end() - entry.begin() != size) {
    return TensorError(
        entry.key,
        absl::StrCat("data_offsets span ", entry.end() - entry.begin(),
                     " bytes, but shape ", shape.ToString(), " of ",
                     entry.dtype->name, " needs ", size));
  }
  return absl::OkStatus();
}

absl::StatusOr<Shape> MakeShape(const HeaderEntry& entry) {
  absl::StatusOr<Shape> shape = Shape::Create(entry.shape);
  if (!shape.ok()) return TensorError(entry.key, shape.status().message());
  return shape;
}

absl::Status AddEntry(HeaderEntry entry, Shape shape, uint64_t data_offset,
                      FileContents& contents) {
  if (!entry.dtype->dtype.has_value()) {
    contents.skipped.push_back(
        {std::move(entry.key),
         absl::StrCat("elements of type ", entry.dtype->name,
                      " are smaller than a byte")});
    return absl::OkStatus();
  }
  absl::StatusOr<TensorSpec> spec =
      TensorSpec::Create(*entry.dtype->dtype, std::move(shape));
  if (!spec.ok()) return TensorError(entry.key, spec.status().message());

  FileTensor tensor;
  tensor.key = std::move(entry.key);
  tensor.spec = *std::move(spec);
  tensor.storage = static_cast<int32_t>(contents.storages.size());
  tensor.strides = tensor.spec.shape().ContiguousStrides();

  FileStorage storage;
  storage.offset = static_cast<int64_t>(data_offset + entry.begin());
  storage.num_bytes = static_cast<int64_t>(entry.end() - entry.begin());

  contents.storages.push_back(storage);
  contents.tensors.push_back(std::move(tensor));
  return absl::OkStatus();
}

bool ByData(const HeaderEntry& a, const HeaderEntry& b) {
  return a.data_offsets < b.data_offsets;
}

}  // namespace

absl::StatusOr<FileContents> ReadSafetensors(const FileView& file) {
  ASSIGN_OR_RETURN(const absl::string_view header, ReadHeader(file.bytes));
  HeaderParser parser;
  RETURN_IF_ERROR(ParseStrictJson(
      header, kMaxDepth,
      [&parser](const JsonEvent& event) { return parser.On(event); }));

  std::vector<HeaderEntry> entries = parser.TakeEntries();
  std::stable_sort(entries.begin(), entries.end(), ByData);

  FileContents contents;
  contents.format = "safetensors";
  contents.metadata_json = parser.MetadataJson();
  const uint64_t data_offset = kLengthBytes + header.size();
  const uint64_t data_size = file.bytes.size() - data_offset;
  uint64_t end = 0;
  for (HeaderEntry& entry : entries) {
    ASSIGN_OR_RETURN(Shape shape, MakeShape(entry));
    RETURN_IF_ERROR(CheckExtent(entry, shape, end, data_size));
    end = entry.end();
    RETURN_IF_ERROR(
        AddEntry(std::move(entry), std::move(shape), data_offset, contents));
  }
  if (end != data_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("the tensors end at byte ", end,
                     " of the data, which has ", data_size, " bytes"));
  }
  return contents;
}

}  // namespace warmstart::format
