#include "server/service/fresh_tensors.h"

#include <limits>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/base/error_info.h"
#include "server/base/parallel.h"
#include "server/base/status_macros.h"
#include "server/service/disk_status.h"
#include "server/service/ingest.h"
#include "server/service/shared_storages.h"
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
  ModelLoader(const ModelLoad& load, store::Store& store, store::Draft& draft)
      : load_(load),
        schema_(load.model->schema()),
        // The CPU needs the bytes of what is computed; a GPU those of all that
        // is loaded.
        place_all_(load.device.kind != backend::Device::Kind::kCpu),
        store_(store),
        draft_(draft),
        counts_(load.assignments.size()) {}

  absl::StatusOr<LoadedModel> Run();

 private:
  // A tensor of a source, its bytes kept readable.
  struct OpenTensor {
    TensorSpec spec;
    store::BlobData data;
  };

  absl::Status AddEntry(size_t i);
  std::optional<size_t> SameAs(size_t i) const;
  const Digest* KnownDigest(size_t i) const;
  const StoredInit* StoredValuesOf(size_t i) const;
  absl::Status AddStep(size_t i, bool is_new);
  absl::Status OpenSource(const SourceOp& source);
  absl::StatusOr<absl::string_view> OpenStored(const StoredInit& stored);
  absl::Status Reserve(size_t i, int64_t num_bytes);
  absl::Status MakeRoom();
  absl::Status Compute();
  void AddResults();

  const ModelLoad& load_;
  const Architecture& schema_;
  const bool place_all_;
  store::Store& store_;
  store::Draft& draft_;

  Manifest manifest_;
  std::vector<backend::LoadCounts> counts_;
  absl::flat_hash_map<absl::string_view, size_t> index_;  // of entries so far
  std::vector<std::pair<size_t, size_t>> copies_;  // entry, and the one it is
  std::vector<backend::LoadEntry> steps_;
  std::vector<NewTensor> new_tensors_;
  absl::flat_hash_map<std::pair<int32_t, int64_t>, OpenTensor> opened_;
  std::vector<store::BlobData> stored_;  // of StoredInits
  int64_t scratch_size_ = 0;
  absl::Span<char> scratch_;
};

// The source tensor whose bytes are the assignment's result; null where that
// has to be made.
const SourceOp* UnchangedSource(const planner::Assignment& assignment) {
  if (assignment.value == nullptr ||
      assignment.value->spec.dtype() != assignment.dtype) {
    return nullptr;
  }
  return AsSourceTensor(WithoutReshapes(*assignment.value));
}

absl::Status ModelLoader::AddEntry(size_t i) {
  const ArchitectureEntry& target = schema_.entries[i];
  const planner::Assignment& assignment = load_.assignments[i];
  ManifestEntry entry;
  entry.key = target.key;
  ASSIGN_OR_RETURN(entry.spec,
                   TensorSpec::Create(assignment.dtype, target.spec.shape()));
  const Digest* const known = KnownDigest(i);
  if (known != nullptr) entry.digest = *known;
  manifest_.entries.push_back(std::move(entry));
  const bool is_counted = load_.count_unchanged && assignment.value != nullptr;
  if (const std::optional<size_t> same = SameAs(i); same.has_value()) {
    copies_.emplace_back(i, *same);
  } else if (known == nullptr || place_all_ || is_counted) {
    RETURN_IF_ERROR(AddStep(i, /*is_new=*/known == nullptr));
  }
  index_.emplace(target.key, i);
  return absl::OkStatus();
}

// Of the values that the store holds and that are entry i unchanged: a source's
// or its initial ones. Null where they have to be made.
const Digest* ModelLoader::KnownDigest(size_t i) const {
  const planner::Assignment& assignment = load_.assignments[i];
  if (assignment.value == nullptr) {
    const StoredInit* const stored = StoredValuesOf(i);
    return stored != nullptr &&
                   assignment.dtype == schema_.entries[i].spec.dtype()
               ? &stored->digest
               : nullptr;
  }
  const SourceOp* const source = UnchangedSource(assignment);
  return source == nullptr
             ? nullptr
             : &load_.sources[source->source]->entries[source->entry].digest;
}

// Where entry i gets fresh values from; null where they are made up. A tied
// entry has those of the one that it is tied to.
const StoredInit* ModelLoader::StoredValuesOf(size_t i) const {
  const std::optional<Initializer>& other = load_.assignments[i].initializer;
  if (other.has_value()) return std::get_if<StoredInit>(&*other);
  const auto tied = index_.find(schema_.entries[i].tied_to);
  const size_t origin = tied == index_.end() ? i : tied->second;
  return std::get_if<StoredInit>(&schema_.entries[origin].initializer);
}

// The entry to which entry i is tied, where both get the same values.
std::optional<size_t> ModelLoader::SameAs(size_t i) const {
  const auto tied = index_.find(schema_.entries[i].tied_to);
  if (tied == index_.end()) return std::nullopt;
  const planner::Assignment& mine = load_.assignments[i];
  const planner::Assignment& other = load_.assignments[tied->second];
  if (mine.value != other.value || mine.dtype != other.dtype) {
    return std::nullopt;
  }
  return tied->second;
}

absl::Status ModelLoader::AddStep(size_t i, bool is_new) {
  const planner::Assignment& assignment = load_.assignments[i];
  backend::LoadEntry step;
  step.entry = static_cast<int64_t>(i);
  step.dtype = assignment.dtype;
  step.value = assignment.value.get();
  if (assignment.initializer.has_value()) {
    step.initializer = &*assignment.initializer;
  }
  const StoredInit* const stored = StoredValuesOf(i);
  if (stored != nullptr &&
      (step.value == nullptr || UsesFreshValues(*step.value))) {
    step.stored.spec = schema_.entries[i].spec;
    ASSIGN_OR_RETURN(step.stored.bytes, OpenStored(*stored));
  }
  if (step.value != nullptr) {
    for (const SourceOp& source : SourcesOf(*step.value)) {
      RETURN_IF_ERROR(OpenSource(source));
    }
    if (is_new || load_.count_unchanged) step.counts = &counts_[i];
  }
  if (is_new) {
    RETURN_IF_ERROR(Reserve(i, manifest_.entries[i].spec.num_bytes()));
  }
  steps_.push_back(step);
  return absl::OkStatus();
}

absl::Status ModelLoader::OpenSource(const SourceOp& source) {
  const std::pair key(source.source, source.entry);
  if (opened_.contains(key)) return absl::OkStatus();
  const ManifestEntry& entry =
      load_.sources[source.source]->entries[source.entry];
  absl::StatusOr<store::BlobData> data = store_.OpenBlob(entry.digest);
  // The manifest that named it was read a moment ago.
  if (absl::IsNotFound(data.status())) {
    return store::SourceDeleted(absl::StrCat("tensor '", entry.key, "'"),
                                entry.digest);
  }
  if (!data.ok()) return data.status();
  opened_.emplace(key, OpenTensor{entry.spec, *std::move(data)});
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> ModelLoader::OpenStored(
    const StoredInit& stored) {
  absl::StatusOr<store::BlobData> data = store_.OpenBlob(stored.digest);
  // The architecture that kept it there was deleted a moment ago.
  if (absl::IsNotFound(data.status())) {
    return store::SourceDeleted(
        absl::StrCat("the initial value '", stored.key, "'"), stored.digest);
  }
  if (!data.ok()) return data.status();
  stored_.push_back(*std::move(data));
  return stored_.back().bytes;
}

absl::Status ModelLoader::Reserve(size_t i, int64_t num_bytes) {
  // A schema may be as large as its numbers allow, and the gaps come on top.
  if (num_bytes >
      std::numeric_limits<int64_t>::max() - kAlignment - scratch_size_) {
    return DiskStatus(absl::ResourceExhaustedError(
        absl::StrCat("the new tensors of ", schema_.name,
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

absl::Status ModelLoader::Compute() {
  if (steps_.empty()) return absl::OkStatus();
  const auto tensor_of = [this](const SourceOp& source) {
    const auto found = opened_.find({source.source, source.entry});
    if (found == opened_.end()) return backend::HostTensor();
    return backend::HostTensor{found->second.spec, found->second.data.bytes};
  };
  absl::Status status =
      load_.model->PartialLoad(load_.device, load_.seed, steps_, tensor_of);
  return absl::IsResourceExhausted(status)
             ? WithErrorInfo(std::move(status), reason::kOutOfMemory)
             : status;
}

absl::StatusOr<LoadedModel> ModelLoader::Run() {
  manifest_.module_versions = schema_.modules;
  manifest_.entries.reserve(schema_.entries.size());
  for (size_t i = 0; i < schema_.entries.size(); ++i) {
    RETURN_IF_ERROR(AddEntry(i));
  }
  RETURN_IF_ERROR(MakeRoom());
  RETURN_IF_ERROR(Compute());
  AddResults();
  for (const auto& [copy, original] : copies_) {
    manifest_.entries[copy].digest = manifest_.entries[original].digest;
    counts_[copy] = counts_[original];
  }
  ShareStorages(schema_, load_.assignments, load_.sources, manifest_);
  return LoadedModel{std::move(manifest_), std::move(counts_)};
}

}  // namespace

std::vector<planner::Assignment> FreshAssignments(const Architecture& schema) {
  std::vector<planner::Assignment> assignments(schema.entries.size());
  for (size_t i = 0; i < assignments.size(); ++i) {
    assignments[i].dtype = schema.entries[i].spec.dtype();
  }
  return assignments;
}

absl::StatusOr<LoadedModel> LoadModel(const ModelLoad& load,
                                      store::Store& store,
                                      store::Draft& draft) {
  return ModelLoader(load, store, draft).Run();
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
