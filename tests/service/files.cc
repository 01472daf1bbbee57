#include "tests/service/files.h"

#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/format/writer.h"
#include "server/service/ingest.h"

namespace warmstart::service {
namespace {

// The names that the format has for the types that tests use.
std::string SafetensorsName(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "F32";
    case DType::kFloat64:
      return "F64";
    case DType::kFloat16:
      return "F16";
    case DType::kBFloat16:
      return "BF16";
    case DType::kInt64:
      return "I64";
    case DType::kUint8:
      return "U8";
    default:
      std::abort();
  }
}

}  // namespace

Tensor FloatTensor(const std::string& key, std::vector<int64_t> sizes,
                   int seed) {
  Tensor tensor{key, DType::kFloat32, std::move(sizes), ""};
  int64_t count = 1;
  for (int64_t size : tensor.sizes) count *= size;
  std::mt19937 random(std::hash<std::string>()(key) + seed);
  std::uniform_real_distribution<float> distribution(-1, 1);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(random);
  tensor.bytes = BytesOf(values);
  return tensor;
}

std::vector<Tensor> RecipeTensors(int seed) {
  return {FloatTensor("conv1.weight", {6, 3, 5, 5}, seed),
          FloatTensor("conv1.bias", {6}, seed),
          FloatTensor("conv2.weight", {16, 6, 5, 5}, seed),
          FloatTensor("conv2.bias", {16}, seed),
          FloatTensor("fc1.weight", {120, 400}, seed),
          FloatTensor("fc1.bias", {120}, seed),
          FloatTensor("fc2.weight", {84, 120}, seed),
          FloatTensor("fc2.bias", {84}, seed),
          FloatTensor("fc3.weight", {10, 84}, seed),
          FloatTensor("fc3.bias", {10}, seed)};
}

std::string MakeSafetensors(const std::vector<Tensor>& tensors) {
  std::vector<std::string> entries;
  std::string data;
  for (const Tensor& tensor : tensors) {
    entries.push_back(absl::StrCat(
        "\"", tensor.key, "\":{\"dtype\":\"", SafetensorsName(tensor.dtype),
        "\",\"shape\":[", absl::StrJoin(tensor.sizes, ","),
        "],\"data_offsets\":[", data.size(), ",",
        data.size() + tensor.bytes.size(), "]}"));
    data += tensor.bytes;
  }
  std::string header = absl::StrCat("{", absl::StrJoin(entries, ","), "}");
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return absl::StrCat(BytesOf<uint64_t>({header.size()}), header, data);
}

std::string MakeTorchFile(const std::vector<Tensor>& tensors) {
  Manifest manifest;
  std::map<Digest, std::string> blobs;
  for (const Tensor& tensor : tensors) {
    ManifestEntry entry;
    entry.key = tensor.key;
    entry.spec =
        TensorSpec::Create(tensor.dtype, Shape::Create(tensor.sizes).value())
            .value();
    entry.digest = Digest::Of(tensor.bytes);
    blobs[entry.digest] = tensor.bytes;
    manifest.entries.push_back(std::move(entry));
  }
  const format::FileLayout layout =
      format::LayoutTorchFile(
          manifest,
          [&](const Digest& digest) -> absl::StatusOr<uint32_t> {
            return MakeBlob(blobs.at(digest)).crc32;
          })
          .value();
  std::string file;
  for (const format::Segment& segment : layout.segments) {
    file += segment.is_blob ? blobs.at(segment.blob) : segment.literal;
  }
  return file;
}

}  // namespace warmstart::service
