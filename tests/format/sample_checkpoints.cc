#include "tests/format/sample_checkpoints.h"

#include <libdeflate.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/format/safetensors/safetensors_dtype.h"

namespace warmstart::format {
namespace {

// Repeatable bytes without a pattern that a wrong offset could hide in.
std::string Bytes(int64_t num_bytes, int seed) {
  std::string bytes;
  bytes.reserve(static_cast<size_t>(num_bytes));
  uint32_t state = static_cast<uint32_t>(seed) * 2654435761u + 1;
  for (int64_t i = 0; i < num_bytes; ++i) {
    state = state * 1664525u + 1013904223u;
    bytes.push_back(static_cast<char>(state >> 24));
  }
  return bytes;
}

TensorSpec Spec(DType dtype, std::vector<int64_t> sizes) {
  return *TensorSpec::Create(dtype, *Shape::Create(std::move(sizes)));
}

// The values of a view, contiguous.
std::string Gather(const TensorSpec& spec, const StorageView& view,
                   absl::string_view storage) {
  const size_t element = static_cast<size_t>(DTypeSize(spec.dtype()));
  std::string values;
  for (int64_t i = 0; i < spec.num_elements(); ++i) {
    int64_t rest = i;
    int64_t offset = view.offset;
    for (int d = spec.shape().rank() - 1; d >= 0; --d) {
      offset += rest % spec.shape().sizes()[d] * view.strides[d];
      rest /= spec.shape().sizes()[d];
    }
    absl::StrAppend(&values, storage.substr(offset * element, element));
  }
  return values;
}

}  // namespace

absl::string_view SampleCheckpoint::Blob(const Digest& digest) const {
  const auto blob = blobs_.find(digest);
  return blob == blobs_.end() ? absl::string_view() : blob->second;
}

uint32_t SampleCheckpoint::Crc32(const Digest& digest) const {
  const absl::string_view blob = Blob(digest);
  return libdeflate_crc32(0, blob.data(), blob.size());
}

Digest SampleCheckpoint::AddBlob(std::string bytes) {
  const Digest digest = Digest::Of(bytes);
  blobs_.emplace(digest, std::move(bytes));
  return digest;
}

void SampleCheckpoint::Add(absl::string_view key, DType dtype,
                           std::vector<int64_t> sizes, int seed) {
  ManifestEntry entry;
  entry.key = std::string(key);
  entry.spec = Spec(dtype, std::move(sizes));
  std::string values = Bytes(entry.spec.num_bytes(), seed);
  if (dtype == DType::kBool) {
    for (char& value : values) value &= 1;
  }
  entry.digest = AddBlob(std::move(values));
  manifest_.entries.push_back(std::move(entry));
}

int SampleCheckpoint::AddStorage(int64_t num_bytes, int seed) {
  manifest_.storages.push_back({AddBlob(Bytes(num_bytes, seed)), num_bytes});
  return static_cast<int>(manifest_.storages.size()) - 1;
}

void SampleCheckpoint::AddView(absl::string_view key, DType dtype,
                               std::vector<int64_t> sizes, StorageView view) {
  ManifestEntry entry;
  entry.key = std::string(key);
  entry.spec = Spec(dtype, std::move(sizes));
  entry.digest = AddBlob(
      Gather(entry.spec, view, Blob(manifest_.storages[view.storage].digest)));
  entry.view = std::move(view);
  manifest_.entries.push_back(std::move(entry));
}

void SampleCheckpoint::AddHuge(absl::string_view key, int64_t num_bytes) {
  ManifestEntry entry;
  entry.key = std::string(key);
  entry.spec = Spec(DType::kUint8, {num_bytes});
  entry.digest = Digest::Of(absl::StrCat("huge ", key));
  manifest_.entries.push_back(std::move(entry));
}

void SampleCheckpoint::AddModule(absl::string_view path, int64_t version) {
  manifest_.module_versions.push_back({std::string(path), version});
}

std::string SampleCheckpoint::Assemble(const FileLayout& layout) const {
  std::string file;
  for (const Segment& segment : layout.segments) {
    const absl::string_view bytes = segment.is_blob
                                        ? Blob(segment.blob)
                                        : absl::string_view(segment.literal);
    if (static_cast<int64_t>(bytes.size()) != segment.num_bytes) std::abort();
    absl::StrAppend(&file, bytes);
  }
  return file;
}

SampleCheckpoint EveryTypeSample(bool safetensors_types_only) {
  SampleCheckpoint sample(safetensors_types_only ? "every_safetensors_type"
                                                 : "every_type");
  int seed = 0;
  for (DType dtype : kAllDTypes) {
    if (safetensors_types_only && FindSafetensorsDType(dtype) == nullptr) {
      continue;
    }
    const absl::string_view name = DTypeName(dtype);
    sample.Add(absl::StrCat(name, ".matrix"), dtype, {3, 5}, ++seed);
    sample.Add(absl::StrCat(name, ".scalar"), dtype, {}, ++seed);
    sample.Add(absl::StrCat(name, ".empty"), dtype, {0, 3}, 0);
    sample.Add(absl::StrCat(name, ".five_dims"), dtype, {1, 2, 1, 3, 1},
               ++seed);
  }
  // Equal values, which must not become one tensor.
  sample.Add("twin.a", DType::kFloat32, {7}, 1000);
  sample.Add("twin.b", DType::kFloat32, {7}, 1000);
  // On both sides of every size that the pickle's integers have.
  for (int64_t size : {255, 256, 65535, 65536}) {
    sample.Add(absl::StrCat("long.", size), DType::kUint8, {size}, ++seed);
  }
  return sample;
}

SampleCheckpoint SharedStoragesSample() {
  SampleCheckpoint sample("shared_storages");
  const int floats = sample.AddStorage(24 * 4, 1);
  sample.Add("own", DType::kFloat32, {2}, 2);
  sample.AddView("tied.a", DType::kFloat32, {4, 6}, {floats, 0, {6, 1}});
  sample.AddView("tied.b", DType::kFloat32, {4, 6}, {floats, 0, {6, 1}});
  sample.AddView("transposed", DType::kFloat32, {6, 4}, {floats, 0, {1, 6}});
  sample.AddView("slice", DType::kFloat32, {2, 3}, {floats, 7, {6, 2}});
  sample.AddView("expanded", DType::kFloat32, {5, 2}, {floats, 3, {0, 1}});
  sample.AddView("scalar", DType::kFloat32, {}, {floats, 23, {}});
  sample.AddView("empty", DType::kFloat32, {0, 2}, {floats, 24, {2, 1}});

  const int bytes = sample.AddStorage(64, 3);
  sample.AddView("float8.a", DType::kFloat8E4M3FN, {8}, {bytes, 8, {1}});
  sample.AddView("float8.b", DType::kFloat8E4M3FN, {4}, {bytes, 0, {16}});
  sample.AddView("float8.as_uint16", DType::kUint16, {4}, {bytes, 2, {1}});

  const int nothing = sample.AddStorage(0, 0);
  sample.AddView("nothing.a", DType::kInt64, {0}, {nothing, 0, {1}});
  sample.AddView("nothing.b", DType::kInt64, {3, 0}, {nothing, 0, {1, 1}});
  return sample;
}

SampleCheckpoint ModuleSample() {
  SampleCheckpoint sample("module");
  sample.Add("fc.weight", DType::kFloat32, {10, 16}, 1);
  sample.Add("fc.bias", DType::kFloat32, {10}, 2);
  sample.Add("norm.weight", DType::kFloat32, {10}, 3);
  sample.Add("norm.num_batches_tracked", DType::kInt64, {}, 4);
  sample.AddModule("", 1);
  sample.AddModule("fc", 1);
  sample.AddModule("norm", 2);
  return sample;
}

SampleCheckpoint OddKeysSample() {
  SampleCheckpoint sample("odd_keys");
  int seed = 0;
  for (absl::string_view key :
       {"with \"quotes\"", "back\\slash", "été", "重み", "😀", "a/b:0", "_",
        "data", "e\xCC\x81", "\xE2\x80\xA8"}) {
    sample.Add(key, DType::kBFloat16, {2}, ++seed);
  }
  return sample;
}

SampleCheckpoint EmptySample() { return SampleCheckpoint("empty"); }

SampleCheckpoint ManyKeysSample(int count) {
  SampleCheckpoint sample(absl::StrCat("many_keys_", count));
  for (int i = 0; i < count; ++i) {
    sample.Add(absl::StrCat("layer.", i, ".weight"),
               i % 3 == 0 ? DType::kUint16 : DType::kFloat16, {i % 5}, i);
    sample.AddModule(absl::StrCat("layer.", i), i % 4);
  }
  return sample;
}

SampleCheckpoint HugeSample() {
  constexpr int64_t kFourGiB = int64_t{1} << 32;
  SampleCheckpoint sample("huge");
  sample.AddHuge("before", 3);
  sample.AddHuge("large", kFourGiB + 5);
  sample.AddHuge("after", 10);
  sample.AddHuge("none", 0);
  sample.AddHuge("both", kFourGiB + 7);
  return sample;
}

}  // namespace warmstart::format
