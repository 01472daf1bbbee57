// Writes every sample checkpoint as .pt and .safetensors into a folder, and
// next to each file what Python must find in it: FILE.json.
// check_written_files.py runs it.
//
// Usage: write_samples FOLDER

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/base/status_macros.h"
#include "server/format/writer.h"
#include "tests/format/sample_checkpoints.h"

namespace warmstart::format {
namespace {

using Json = nlohmann::ordered_json;

Json Describe(const SampleCheckpoint& sample) {
  Json tensors = Json::array();
  for (const ManifestEntry& entry : sample.manifest().entries) {
    const absl::Span<const int64_t> sizes = entry.spec.shape().sizes();
    Json tensor = {
        {"key", entry.key},
        {"dtype", std::string(DTypeName(entry.spec.dtype()))},
        {"shape", std::vector<int64_t>(sizes.begin(), sizes.end())},
        {"values", absl::BytesToHexString(sample.Blob(entry.digest))}};
    if (entry.view.has_value()) {
      tensor["storage"] = entry.view->storage;
      tensor["offset"] = entry.view->offset;
      tensor["strides"] = entry.view->strides;
    }
    tensors.push_back(std::move(tensor));
  }
  Json storages = Json::array();
  for (const SharedStorage& storage : sample.manifest().storages) {
    storages.push_back(absl::BytesToHexString(sample.Blob(storage.digest)));
  }
  Json modules = Json::array();
  for (const ModuleVersion& module : sample.manifest().module_versions) {
    modules.push_back({module.path, module.version});
  }
  return {{"tensors", tensors}, {"storages", storages}, {"modules", modules}};
}

// Blobs without bytes are skipped over, which leaves a sparse file.
absl::Status WriteFile(const std::string& path, const FileLayout& layout,
                       const SampleCheckpoint& sample) {
  std::ofstream file(path, std::ios::binary);
  for (const Segment& segment : layout.segments) {
    const absl::string_view bytes = segment.is_blob
                                        ? sample.Blob(segment.blob)
                                        : absl::string_view(segment.literal);
    if (bytes.empty()) {
      file.seekp(segment.num_bytes, std::ios::cur);
    } else {
      file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
  }
  std::ofstream(path + ".json") << Describe(sample);
  file.close();
  std::error_code error;
  std::filesystem::resize_file(path, static_cast<uintmax_t>(layout.num_bytes),
                               error);
  if (!file || error) {
    return absl::InternalError(absl::StrCat("cannot write ", path));
  }
  return absl::OkStatus();
}

absl::Status WriteTorch(const std::string& folder,
                        const SampleCheckpoint& sample) {
  ASSIGN_OR_RETURN(
      const FileLayout layout,
      LayoutTorchFile(sample.manifest(), [&](const Digest& digest) {
        return absl::StatusOr<uint32_t>(sample.Crc32(digest));
      }));
  return WriteFile(absl::StrCat(folder, "/", sample.name(), ".pt"), layout,
                   sample);
}

absl::Status WriteSafetensors(const std::string& folder,
                              const SampleCheckpoint& sample) {
  ASSIGN_OR_RETURN(const FileLayout layout,
                   LayoutSafetensorsFile(sample.manifest()));
  return WriteFile(absl::StrCat(folder, "/", sample.name(), ".safetensors"),
                   layout, sample);
}

absl::Status WriteAll(const std::string& folder) {
  RETURN_IF_ERROR(WriteTorch(folder, EveryTypeSample(false)));
  RETURN_IF_ERROR(WriteTorch(folder, EveryTypeSample(true)));
  RETURN_IF_ERROR(WriteSafetensors(folder, EveryTypeSample(true)));
  // 999 to 1001: where the pickle's batches of items end.
  for (const SampleCheckpoint& sample :
       {SharedStoragesSample(), ModuleSample(), OddKeysSample(), EmptySample(),
        ManyKeysSample(1), ManyKeysSample(999), ManyKeysSample(1000),
        ManyKeysSample(1001), ManyKeysSample(2002), HugeSample()}) {
    RETURN_IF_ERROR(WriteTorch(folder, sample));
    RETURN_IF_ERROR(WriteSafetensors(folder, sample));
  }
  // More records than a zip archive without zip64 can have.
  return WriteTorch(folder, ManyKeysSample(66000));
}

}  // namespace
}  // namespace warmstart::format

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  const absl::Status status = warmstart::format::WriteAll(argv[1]);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}
