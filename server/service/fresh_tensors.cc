#include "server/service/fresh_tensors.h"

#include <limits>
#include <random>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/base/error_info.h"
#include "server/base/parallel.h"
#include "server/base/status_macros.h"
#include "server/service/disk_status.h"
#include "server/service/ingest.h"
#include "server/store/errors.h"

namespace warmstart::service {
namespace {

constexpr int64_t kAlignment = 64;

// Below this, digests are computed sooner than threads are started.
constexpr int64_t kWorthThreads = int64_t{1} << 20;

// A result that has to be computed, and its place in the scratch space.
struct NewTensor {
  size_t entry = 0;  // of the manifest
  size_t step = 0;   // that computes it
  int64_t offset = 0;
  int64_t num_bytes = 0;
};

// Makes one model. The steps, in order: list what is to be done, make room for
// it, compute, add the results to the draft.
class ModelLoader {
 public:
  ModelLoader(const backend::ModelArchitecture& model,
              const backend::Device& device, store::Store& store,
              store::Draft& draft)
      : model_(model),
        device_(device),
        // The CPU needs the bytes of what is cast; a GPU those of all that is
        // loaded.
        place_all_(device.kind != backend::Device::Kind::kCpu),
        store_(store),
        draft_(draft) {}

  absl::StatusOr<Manifest> Run(
      uint64_t seed, const std::vector<std::optional<LoadedTensor>>& sources);

 private:
  absl::Status AddEntry(size_t i, const std::optional<LoadedTensor>& source);
  absl::Status OpenSource(const LoadedTensor& source, backend::LoadEntry& step);
  absl::Status Reserve(size_t i, int64_t num_bytes);
  absl::Status MakeRoom();
  void AddResults();

  const backend::ModelArchitecture& model_;
  const backend::Device& device_;
  const bool place_all_;
  store::Store& store_;
  store::Draft& draft_;

  Manifest manifest_;
  std::vector<backend::LoadEntry> steps_;
  std::vector<NewTensor> new_tensors_;
  std::vector<store::BlobData> opened_;  // keeps the sources' bytes readable
  int64_t scratch_size_ = 0;
  absl::Span<char> scratch_;
};

absl::Status ModelLoader::AddEntry(size_t i,
                                   const std::optional<LoadedTensor>& source) {
  const ArchitectureEntry& target = model_.schema().entries[i];
  backend::LoadEntry step;
  step.entry = static_cast<int64_t>(i);
  step.dtype = source.has_value() ? source->dtype : target.spec.dtype();
  ManifestEntry entry;
  entry.key = target.key;
  ASSIGN_OR_RETURN(entry.spec,
                   TensorSpec::Create(step.dtype, target.spec.shape()));
  const bool is_new =
      !source.has_value() || step.dtype != source->entry.spec.dtype();
  const bool is_step = is_new || place_all_;
  if (source.has_value()) {
    entry.digest = source->entry.digest;
    if (is_step) RETURN_IF_ERROR(OpenSource(*source, step));
  }
  if (is_new) RETURN_IF_ERROR(Reserve(i, entry.spec.num_bytes()));
  if (is_step) steps_.push_back(step);
  manifest_.entries.push_back(std::move(entry));
  return absl::OkStatus();
}

absl::Status ModelLoader::OpenSource(const LoadedTensor& source,
                                     backend::LoadEntry& step) {
  absl::StatusOr<store::BlobData> data = store_.OpenBlob(source.entry.digest);
  // The manifest that named it was read a moment ago.
  if (absl::IsNotFound(data.status())) {
    return store::SourceDeleted(absl::StrCat("tensor '", source.entry.key, "'"),
                                source.entry.digest);
  }
  if (!data.ok()) return data.status();
  step.source = {source.entry.spec, data->bytes};
  opened_.push_back(*std::move(data));
  return absl::OkStatus();
}

absl::Status ModelLoader::Reserve(size_t i, int64_t num_bytes) {
  // A schema may be as large as its numbers allow, and the gaps come on top.
  if (num_bytes >
      std::numeric_limits<int64_t>::max() - kAlignment - scratch_size_) {
    return DiskStatus(absl::ResourceExhaustedError(
        absl::StrCat("the new tensors of ", model_.schema().name,
                     " take more space than any disk has")));
  }
  const int64_t offset =
      (scratch_size_ + kAlignment - 1) / kAlignment * kAlignment;
  new_tensors_.push_back({i, steps_.size(), offset, num_bytes});
  scratch_size_ = offset + num_bytes;
  return absl::OkStatus();
}

absl::Status ModelLoader::MakeRoom() {
  if (scratch_size_ > 0) {
    ASSIGN_OR_RETURN(scratch_, DiskStatus(draft_.NewScratch(scratch_size_)));
  }
  // An output of no bytes still is one: its pointer must not be null.
  static char nothing;
  for (const NewTensor& tensor : new_tensors_) {
    steps_[tensor.step].output =
        tensor.num_bytes == 0
            ? absl::Span<char>(&nothing, 0)
            : scratch_.subspan(tensor.offset, tensor.num_bytes);
  }
  return absl::OkStatus();
}

void ModelLoader::AddResults() {
  std::vector<store::Blob> blobs(new_tensors_.size());
  const auto digest = [&](size_t i) {
    const absl::Span<char>& output = steps_[new_tensors_[i].step].output;
    blobs[i] = MakeBlob(absl::string_view(output.data(), output.size()));
  };
  if (scratch_size_ >= kWorthThreads) {
    ParallelFor(blobs.size(), digest);
  } else {
    for (size_t i = 0; i < blobs.size(); ++i) digest(i);
  }
  for (size_t i = 0; i < blobs.size(); ++i) {
    manifest_.entries[new_tensors_[i].entry].digest = blobs[i].digest;
    draft_.AddBlob(nullptr, new_tensors_[i].offset, blobs[i]);
  }
}

absl::StatusOr<Manifest> ModelLoader::Run(
    uint64_t seed, const std::vector<std::optional<LoadedTensor>>& sources) {
  manifest_.module_versions = model_.schema().modules;
  manifest_.entries.reserve(sources.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    RETURN_IF_ERROR(AddEntry(i, sources[i]));
  }
  RETURN_IF_ERROR(MakeRoom());
  if (!steps_.empty()) {
    absl::Status status = model_.PartialLoad(device_, seed, steps_);
    if (absl::IsResourceExhausted(status)) {
      return WithErrorInfo(std::move(status), reason::kOutOfMemory);
    }
    RETURN_IF_ERROR(status);
  }
  AddResults();
  return std::move(manifest_);
}

}  // namespace

absl::StatusOr<Manifest> LoadModel(
    const backend::ModelArchitecture& model, const backend::Device& device,
    uint64_t seed, const std::vector<std::optional<LoadedTensor>>& sources,
    store::Store& store, store::Draft& draft) {
  return ModelLoader(model, device, store, draft).Run(seed, sources);
}

absl::StatusOr<backend::Device> ResolveRequestDevice(
    absl::string_view requested, absl::string_view default_device) {
  const absl::string_view name = requested.empty() ? default_device : requested;
  absl::StatusOr<backend::Device> device = backend::ResolveDevice(name);
  if (absl::IsInvalidArgument(device.status())) {
    return InvalidField("device", device.status().message());
  }
  if (device.ok()) return device;
  return WithErrorInfo(device.status(), reason::kDeviceUnavailable,
                       {{"device", std::string(name)}});
}

uint64_t SeedOrRandom(std::optional<uint64_t> seed) {
  if (seed.has_value()) return *seed;
  // 53 bits: a seed that JSON and Python take as it is.
  std::random_device device;
  const uint64_t bits = (static_cast<uint64_t>(device()) << 32) | device();
  return bits >> 11;
}

}  // namespace warmstart::service
