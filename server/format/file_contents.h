// FileContents: what a reader found in an uploaded file or sharded set. It
// refers to the file's bytes by offset and copies none of them.

#ifndef WARMSTART_SERVER_FORMAT_FILE_CONTENTS_H_
#define WARMSTART_SERVER_FORMAT_FILE_CONTENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/model/manifest.h"
#include "server/model/tensor_spec.h"

namespace warmstart::format {

// One uploaded file. `name` is what the client called it; only the readers of
// sharded sets and error messages use it, never the disk.
struct FileView {
  std::string name;
  absl::string_view bytes;
};

// A run of bytes in one of the files. Readers guarantee that it lies inside the
// file and overlaps no other storage.
struct FileStorage {
  int32_t file = 0;    // index into the files that were read
  int64_t offset = 0;  // bytes, from the start of that file
  int64_t num_bytes = 0;
  bool byte_swapped = false;      // the words are big-endian
  std::optional<uint32_t> crc32;  // what the container says; not yet checked
};

// A tensor: a view on a storage. Readers guarantee that every element lies
// inside the storage and that strides are not negative.
struct FileTensor {
  std::string key;  // the path in the file, valid UTF-8, unique
  TensorSpec spec;
  int32_t storage = 0;           // index into FileContents::storages
  int64_t element_offset = 0;    // elements, from the start of the storage
  std::vector<int64_t> strides;  // elements, one for each dimension
};

// A value that is no plain tensor and no plain data, and was left out.
struct SkippedValue {
  std::string path;
  std::string reason;  // "object of class foo.Bar", "sparse tensor"
};

struct FileContents {
  // "torch-zip", "torch-legacy", "torch-tar", "safetensors"
  std::string format;
  std::vector<FileStorage> storages;
  std::vector<FileTensor> tensors;    // in the file's order
  std::vector<SkippedValue> skipped;  // in the file's order
  // As the fields of the same names in Manifest.
  std::vector<std::string> subtrees;
  std::vector<ModuleVersion> module_versions;
  std::string metadata_json;
};

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_FILE_CONTENTS_H_
