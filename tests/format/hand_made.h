// Hand-made pickles and containers, for what PyTorch never writes or no longer
// does: hostile files and files of its early versions.

#ifndef WARMSTART_TESTS_FORMAT_HAND_MADE_H_
#define WARMSTART_TESTS_FORMAT_HAND_MADE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace warmstart::format::hand_made {

// Opcodes that push the value; they nest. A pickle is one of them and ".".
std::string Int(int64_t value);
std::string Text(absl::string_view text);
std::string Tuple(const std::vector<std::string>& items);
std::string List(const std::vector<std::string>& items);
std::string Dict(const std::vector<std::pair<std::string, std::string>>& items);
std::string Global(absl::string_view module, absl::string_view name);
std::string Call(const std::string& callable,
                 const std::vector<std::string>& arguments);
std::string Build(const std::string& object, const std::string& state);
std::string Persistent(const std::string& what);

// ("storage", torch.<type>Storage, key, "cpu", size), and what comes after.
std::string Storage(absl::string_view type, absl::string_view key, int64_t size,
                    const std::vector<std::string>& more = {});
std::string Ints(const std::vector<int64_t>& values);
// torch._utils._rebuild_tensor_v2
std::string Tensor(const std::string& storage, int64_t offset,
                   const std::vector<int64_t>& sizes,
                   const std::vector<int64_t>& strides);
// A contiguous float32 vector with a storage of its own.
std::string FloatVector(absl::string_view key, int64_t size);

// Little-endian.
std::string Number(uint64_t value, int width);

struct ZipEntry {
  std::string name;
  std::string data;
  // Lies, where they are set.
  std::optional<uint32_t> crc32;
  std::optional<uint32_t> size;         // both of the directory's
  std::optional<uint32_t> stored_size;  // one of them
  std::optional<uint32_t> local_offset;
  std::optional<std::string> local_name;
  uint16_t method = 0;
  uint16_t flags = 0;
  std::string extra;  // of the directory's entry
};

struct ZipEnd {
  std::optional<uint16_t> num_records;
  std::optional<uint32_t> directory_offset;
  std::optional<uint32_t> directory_size;
  std::string comment;
};
std::string Zip(const std::vector<ZipEntry>& entries, const ZipEnd& end = {});

using Storages = std::vector<std::pair<std::string, std::string>>;
// A zip file with data.pkl (without its ".") and the storages' bytes by key.
std::string TorchZip(const std::string& value, const Storages& storages);

// A legacy file; each storage with its number of elements.
struct LegacyStorage {
  std::string key;
  int64_t size;
  std::string bytes;
};
std::string TorchLegacy(const std::string& value,
                        const std::vector<LegacyStorage>& storages);

// A ustar archive of regular files.
std::string Tar(const std::vector<std::pair<std::string, std::string>>& files);

// Bytes of float32 numbers.
std::string Floats(const std::vector<float>& values);

}  // namespace warmstart::format::hand_made

#endif  // WARMSTART_TESTS_FORMAT_HAND_MADE_H_
