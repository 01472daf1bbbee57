// Checkpoints that between them have everything a manifest can hold, for the
// tests of the writers.

#ifndef WARMSTART_TESTS_FORMAT_SAMPLE_CHECKPOINTS_H_
#define WARMSTART_TESTS_FORMAT_SAMPLE_CHECKPOINTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "server/format/writer.h"
#include "server/model/digest.h"
#include "server/model/manifest.h"

namespace warmstart::format {

// A manifest, and the bytes behind its digests.
class SampleCheckpoint {
 public:
  explicit SampleCheckpoint(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  const Manifest& manifest() const { return manifest_; }
  // "" for a digest that AddHuge made up.
  absl::string_view Blob(const Digest& digest) const;
  // Of a blob; 0 for a digest that AddHuge made up.
  uint32_t Crc32(const Digest& digest) const;

  // A tensor with a storage of its own, filled with bytes that depend on
  // `seed`.
  void Add(absl::string_view key, DType dtype, std::vector<int64_t> sizes,
           int seed);
  // A storage for AddView; returns its index.
  int AddStorage(int64_t num_bytes, int seed);
  void AddView(absl::string_view key, DType dtype, std::vector<int64_t> sizes,
               StorageView view);
  // A tensor of bytes that are nowhere: for layouts alone.
  void AddHuge(absl::string_view key, int64_t num_bytes);
  void AddModule(absl::string_view path, int64_t version);

  // The bytes of a file. Aborts where a blob has not the size that its segment
  // has.
  std::string Assemble(const FileLayout& layout) const;

 private:
  Digest AddBlob(std::string bytes);

  std::string name_;
  Manifest manifest_;
  absl::flat_hash_map<Digest, std::string> blobs_;
};

// Of every element type, with and without dimensions and elements.
SampleCheckpoint EveryTypeSample(bool safetensors_types_only);
// Views, transposed views and broadcasts of shared storages; a storage viewed
// under two types; a storage whose size is no multiple of its element's.
SampleCheckpoint SharedStoragesSample();
// What state_dict() of a module gives, _metadata included.
SampleCheckpoint ModuleSample();
// Keys with quotes, backslashes, non-ASCII text.
SampleCheckpoint OddKeysSample();
SampleCheckpoint EmptySample();
// `count` small tensors and as many modules.
SampleCheckpoint ManyKeysSample(int count);
// Records and offsets on both sides of 4 GiB.
SampleCheckpoint HugeSample();

}  // namespace warmstart::format

#endif  // WARMSTART_TESTS_FORMAT_SAMPLE_CHECKPOINTS_H_
