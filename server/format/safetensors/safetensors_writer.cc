#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/safetensors/safetensors_dtype.h"
#include "server/format/safetensors/safetensors_reader.h"
#include "server/format/writer.h"

namespace warmstart::format {
namespace {

// Leaves room for the header in an int64.
constexpr int64_t kMaxDataBytes = int64_t{1} << 62;

std::string JsonString(absl::string_view utf8) {
  return nlohmann::json(std::string(utf8)).dump();
}

// In the order in which they are written. The format allows no gap between
// tensors, so a tensor is aligned only where all before it are multiples of its
// element's size: wider types first, as the format's own writer does. The sort
// is stable, so a model of one type keeps its order.
std::vector<const ManifestEntry*> WidestFirst(const Manifest& manifest) {
  std::vector<const ManifestEntry*> entries;
  entries.reserve(manifest.entries.size());
  for (const ManifestEntry& entry : manifest.entries) entries.push_back(&entry);
  std::stable_sort(entries.begin(), entries.end(),
                   [](const ManifestEntry* a, const ManifestEntry* b) {
                     return DTypeSize(a->spec.dtype()) >
                            DTypeSize(b->spec.dtype());
                   });
  return entries;
}

absl::Status CannotWrite(absl::string_view key, absl::string_view why) {
  return absl::FailedPreconditionError(
      absl::StrCat("safetensors cannot hold ", QuoteForMessage(key), ": ", why,
                   "; download the checkpoint as a .pt file instead"));
}

// `"key": {...}` for one tensor, whose data starts at *end; moves *end past it.
absl::StatusOr<std::string> HeaderMember(const ManifestEntry& entry,
                                         int64_t* end) {
  if (entry.key == kSafetensorsMetadataKey) {
    return CannotWrite(entry.key, "the format keeps that name for itself");
  }
  const SafetensorsDType* type = FindSafetensorsDType(entry.spec.dtype());
  if (type == nullptr) {
    return CannotWrite(entry.key, absl::StrCat("the format has no type ",
                                               DTypeName(entry.spec.dtype())));
  }
  const int64_t begin = *end;
  // Views may make the values larger, in sum, than all that is stored.
  if (__builtin_add_overflow(begin, entry.spec.num_bytes(), end) ||
      *end > kMaxDataBytes) {
    return CannotWrite(entry.key, "the file would be too large");
  }
  return absl::StrCat(JsonString(entry.key), ":{\"dtype\":\"", type->name,
                      "\",\"shape\":[",
                      absl::StrJoin(entry.spec.shape().sizes(), ","),
                      "],\"data_offsets\":[", begin, ",", *end, "]}");
}

// The header's length and the header, padded so that the data starts aligned.
std::string PaddedHeader(std::string header) {
  constexpr size_t kAlignment = 8;
  header.append((kAlignment - header.size() % kAlignment) % kAlignment, ' ');
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(
        static_cast<char>(static_cast<uint64_t>(header.size()) >> (8 * i)));
  }
  return bytes + header;
}

void AppendSegment(Segment segment, FileLayout& layout) {
  layout.num_bytes += segment.num_bytes;
  layout.segments.push_back(std::move(segment));
}

}  // namespace

absl::StatusOr<FileLayout> LayoutSafetensorsFile(const Manifest& manifest) {
  const std::vector<const ManifestEntry*> entries = WidestFirst(manifest);
  // "pt" is what transformers demands of a file before it loads it.
  std::string header = R"({"__metadata__":{"format":"pt"})";
  int64_t end = 0;
  for (const ManifestEntry* entry : entries) {
    ASSIGN_OR_RETURN(const std::string member, HeaderMember(*entry, &end));
    absl::StrAppend(&header, ",", member);
  }
  header.push_back('}');
  if (header.size() > kMaxSafetensorsHeaderBytes) {
    return absl::FailedPreconditionError(absl::StrCat(
        "safetensors cannot hold ", entries.size(),
        " tensors with these keys: the header would have ", header.size(),
        " bytes; at most ", kMaxSafetensorsHeaderBytes, " are allowed"));
  }

  FileLayout layout;
  Segment segment;
  segment.literal = PaddedHeader(std::move(header));
  segment.num_bytes = static_cast<int64_t>(segment.literal.size());
  AppendSegment(std::move(segment), layout);
  for (const ManifestEntry* entry : entries) {
    if (entry->spec.num_bytes() == 0) continue;
    Segment values;
    values.is_blob = true;
    values.blob = entry->digest;
    values.num_bytes = entry->spec.num_bytes();
    AppendSegment(std::move(values), layout);
  }
  return layout;
}

absl::StatusOr<FileLayout> LayoutSafetensorsFile(
    absl::Span<const FilePart> parts) {
  Manifest all;
  for (const FilePart& part : parts) {
    for (const ManifestEntry& entry : part.manifest.entries) {
      all.entries.push_back({.key = absl::StrCat(part.key, ".", entry.key),
                             .spec = entry.spec,
                             .digest = entry.digest});
    }
  }
  return LayoutSafetensorsFile(all);
}

}  // namespace warmstart::format
