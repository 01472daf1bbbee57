#include "client/cpp/safetensors_head.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace warmstart::client {
namespace {

// What vector instructions like.
constexpr size_t kAlignment = 64;

}  // namespace

std::string SafetensorsHead(absl::Span<const SafetensorsEntry> entries) {
  std::string text;
  int64_t begin = 0;
  absl::string_view separator = "{";
  for (const SafetensorsEntry& entry : entries) {
    const int64_t end = begin + entry.size;
    absl::StrAppend(&text, separator, "\"", entry.name,
                    R"(":{"dtype":"U8","shape":[)", entry.size,
                    R"(],"data_offsets":[)", begin, ",", end, "]}");
    begin = end;
    separator = ",";
  }
  text += entries.empty() ? "{}" : "}";
  // Padded with spaces, as the format has it.
  while ((sizeof(uint64_t) + text.size()) % kAlignment != 0) text += ' ';
  std::string head;
  for (size_t i = 0; i < sizeof(uint64_t); ++i) {
    head += static_cast<char>(uint64_t{text.size()} >> (8 * i));
  }
  return head + text;
}

}  // namespace warmstart::client
