// The scalars of a pickle as JSON, for the metadata of a checkpoint.

#ifndef WARMSTART_SERVER_FORMAT_PICKLE_PLAIN_VALUE_H_
#define WARMSTART_SERVER_FORMAT_PICKLE_PLAIN_VALUE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "server/format/file_contents.h"
#include "server/format/pickle/pickle_heap.h"

namespace warmstart::format {

// Objects sort their keys, so that equal values have equal text.
using Json = nlohmann::json;

// None, booleans, numbers, text; numpy's scalars; torch.dtype and torch.device
// as PyTorch prints them. nullopt for anything else. What JSON lacks is text,
// as in proto3's JSON: integers beyond 2^53, "NaN", "Infinity", "-Infinity".
// Bytes are text where they are UTF-8, and nullopt otherwise.
std::optional<Json> PlainScalar(const PickleHeap& heap, PickleId id);

// Bytes of the text that PlainScalar would look at, whatever it makes of it.
size_t ScalarTextSize(const PickleHeap& heap, PickleId id);

// A dict's key as a component of paths, as Python's str() has it; nullopt for
// what is neither text nor a number, a boolean or None.
std::optional<std::string> PlainKey(const PickleHeap& heap, PickleId id);

// What a checkpoint's metadata may take: it is for people to read.
inline constexpr size_t kMaxMetadataBytes = size_t{16} << 20;

// The text of a metadata object; "" where it is empty. Text that is no UTF-8
// has U+FFFD in place of what is wrong. Where the whole is larger than
// `max_bytes`, its largest members go and are reported.
std::string MetadataText(Json object, size_t max_bytes,
                         std::vector<SkippedValue>* skipped);

// A path as SkippedValue has it: with escapes where it could not be a key.
std::string PrintablePath(absl::string_view path);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_PICKLE_PLAIN_VALUE_H_
