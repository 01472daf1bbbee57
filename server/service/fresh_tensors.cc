#include "server/service/fresh_tensors.h"

#include <random>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/base/error_info.h"
#include "server/base/parallel.h"
#include "server/base/status_macros.h"
#include "server/service/ingest.h"

namespace warmstart::service {
namespace {

constexpr int64_t kAlignment = 64;

// A result that has to be computed, and its place in the scratch space.
struct NewTensor {
  size_t entry = 0;
  int64_t offset = 0;
  int64_t num_bytes = 0;
};

bool IsNew(const std::optional<LoadedTensor>& source) {
  return !source.has_value() || source->dtype != source->entry.spec.dtype();
}

}  // namespace

absl::StatusOr<Manifest> LoadModel(
    const backend::ModelArchitecture& model, const backend::Device& device,
    uint64_t seed, const std::vector<std::optional<LoadedTensor>>& sources,
    store::Store& store, store::Draft& draft) {
  const Architecture& schema = model.schema();
  // The CPU needs the bytes of what is cast; a GPU those of all that is loaded.
  const bool place_all = device.kind != backend::Device::Kind::kCpu;

  Manifest manifest;
  manifest.module_versions = schema.modules;
  std::vector<NewTensor> fresh;
  std::vector<backend::LoadEntry> load;
  std::vector<store::BlobData> opened;  // keeps the sources' bytes readable
  int64_t scratch_size = 0;
  for (size_t i = 0; i < schema.entries.size(); ++i) {
    const std::optional<LoadedTensor>& source = sources[i];
    ManifestEntry entry;
    entry.key = schema.entries[i].key;
    const DType dtype =
        source.has_value() ? source->dtype : schema.entries[i].spec.dtype();
    ASSIGN_OR_RETURN(entry.spec,
                     TensorSpec::Create(dtype, schema.entries[i].spec.shape()));
    backend::LoadEntry step;
    step.entry = static_cast<int64_t>(i);
    step.dtype = dtype;
    const bool is_new = IsNew(source);
    if (source.has_value()) {
      entry.digest = source->entry.digest;
      step.source.spec = source->entry.spec;
      if (is_new || place_all) {
        ASSIGN_OR_RETURN(store::BlobData data,
                         store.OpenBlob(source->entry.digest));
        step.source.bytes = data.bytes;
        opened.push_back(std::move(data));
      }
    }
    if (is_new) {
      scratch_size = (scratch_size + kAlignment - 1) / kAlignment * kAlignment;
      fresh.push_back({i, scratch_size, entry.spec.num_bytes()});
      scratch_size += entry.spec.num_bytes();
    }
    if (is_new || place_all) load.push_back(step);
    manifest.entries.push_back(std::move(entry));
  }

  absl::Span<char> scratch;
  if (scratch_size > 0) {
    ASSIGN_OR_RETURN(scratch, draft.NewScratch(scratch_size));
  }
  // An output of no bytes still is one: its pointer must not be null.
  static char nothing;
  size_t next = 0;
  for (backend::LoadEntry& step : load) {
    if (next == fresh.size() ||
        fresh[next].entry != static_cast<size_t>(step.entry)) {
      continue;
    }
    step.output =
        fresh[next].num_bytes == 0
            ? absl::Span<char>(&nothing, 0)
            : scratch.subspan(fresh[next].offset, fresh[next].num_bytes);
    ++next;
  }
  if (!load.empty()) {
    RETURN_IF_ERROR(model.PartialLoad(device, seed, load));
  }

  std::vector<store::Blob> blobs(fresh.size());
  ParallelFor(fresh.size(), [&](size_t i) {
    blobs[i] = MakeBlob(absl::string_view(scratch.data() + fresh[i].offset,
                                          fresh[i].num_bytes));
  });
  for (size_t i = 0; i < fresh.size(); ++i) {
    manifest.entries[fresh[i].entry].digest = blobs[i].digest;
    draft.AddBlob(nullptr, fresh[i].offset, blobs[i]);
  }
  return manifest;
}

absl::StatusOr<backend::Device> ResolveRequestDevice(
    absl::string_view requested, absl::string_view default_device) {
  absl::StatusOr<backend::Device> device =
      backend::ResolveDevice(requested.empty() ? default_device : requested);
  if (device.ok()) return device;
  return WithErrorInfo(device.status(),
                       absl::IsInvalidArgument(device.status())
                           ? reason::kInvalidField
                           : reason::kDeviceUnavailable,
                       {{"device", std::string(requested)}});
}

uint64_t SeedOrRandom(std::optional<uint64_t> seed) {
  if (seed.has_value()) return *seed;
  // 53 bits: a seed that JSON and Python take as it is.
  std::random_device device;
  const uint64_t bits = (static_cast<uint64_t>(device()) << 32) | device();
  return bits >> 11;
}

}  // namespace warmstart::service
