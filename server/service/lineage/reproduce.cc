#include "server/service/lineage/reproduce.h"

#include <deque>
#include <utility>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/model/manifest.h"
#include "server/service/handles.h"
#include "server/service/lineage/rebuild.h"
#include "server/store/store.h"

namespace warmstart::service {
namespace {

// Checkpoints that are still to be made again, each once.
class Queue {
 public:
  void Add(const CheckpointName& name) {
    if (known_.insert(name.id()).second) waiting_.push_back(name);
  }
  bool empty() const { return waiting_.empty(); }
  size_t num_known() const { return known_.size(); }
  CheckpointName Next() {
    CheckpointName name = std::move(waiting_.front());
    waiting_.pop_front();
    return name;
  }

 private:
  std::deque<CheckpointName> waiting_;
  absl::flat_hash_set<std::string> known_;
};

bool IsSame(const ManifestEntry& a, const ManifestEntry& b) {
  return a.spec == b.spec && a.digest == b.digest;
}

void AddDiffering(const std::string& key, Reproduction* result) {
  ++result->num_differing;
  if (result->differing_keys.size() < kMaxDifferingKeys) {
    result->differing_keys.push_back(key);
  }
}

// In the order of `stored`, and then those that only `rebuilt` has.
void Compare(const Manifest& stored, const Manifest& rebuilt,
             Reproduction* result) {
  absl::flat_hash_map<absl::string_view, const ManifestEntry*> made;
  for (const ManifestEntry& entry : rebuilt.entries) {
    made.emplace(entry.key, &entry);
  }
  for (const ManifestEntry& entry : stored.entries) {
    const auto found = made.find(entry.key);
    const bool is_same = found != made.end() && IsSame(entry, *found->second);
    if (!is_same) AddDiffering(entry.key, result);
    if (found != made.end()) made.erase(found);
  }
  result->num_keys = static_cast<int64_t>(stored.entries.size() + made.size());
  for (const ManifestEntry& entry : rebuilt.entries) {
    if (made.contains(entry.key)) AddDiffering(entry.key, result);
  }
}

std::string DeviceOf(const Origin& origin) {
  if (const auto* fresh = std::get_if<InitializationOrigin>(&origin)) {
    return fresh->device;
  }
  const auto* const start = std::get_if<WarmStartOrigin>(&origin);
  return start == nullptr ? "" : start->device;
}

// What the numbers of `result` mean.
void Judge(const Origin& origin, const std::string& other_device,
           Reproduction* result) {
  const bool agrees = result->num_differing == 0;
  result->verdict =
      agrees ? ReproductionVerdict::kAgrees : ReproductionVerdict::kDiffers;
  if (!other_device.empty()) {
    result->reason =
        absl::StrCat("it was made on ", DeviceOf(origin),
                     ", which is not here, and made again on ", other_device);
    if (agrees) return;
    result->verdict = ReproductionVerdict::kCannot;
    absl::StrAppend(&result->reason, ", where other bits may be computed");
  } else if (!agrees) {
    result->reason =
        std::holds_alternative<UploadOrigin>(origin)
            ? "the bytes that are stored are not those that were uploaded"
            : "either its record was altered, or other versions of the server "
              "or of LibTorch, which are not recorded, made it";
  }
}

class Reproducer {
 public:
  Reproducer(const Context& context, const ReproduceCaller& caller)
      : context_(context), store_(*context.store), caller_(caller) {}

  // What it was made from goes to `sources`. CANCELLED alone is an error.
  absl::StatusOr<Reproduction> Run(const CheckpointName& name,
                                   Queue* sources) const {
    Reproduction result;
    result.checkpoint = name;
    const absl::Status status = Reproduce(sources, &result);
    if (absl::IsCancelled(status)) return status;
    if (!status.ok()) result.reason = std::string(status.message());
    return result;
  }

 private:
  absl::Status Reproduce(Queue* sources, Reproduction* result) const {
    const absl::StatusOr<store::Checkpoint> checkpoint =
        store_.GetCheckpoint(result->checkpoint);
    if (absl::IsNotFound(checkpoint.status())) {
      return absl::NotFoundError("it was deleted");
    }
    RETURN_IF_ERROR(checkpoint.status());
    ASSIGN_OR_RETURN(result->origin, OriginFromJson(checkpoint->origin_json));
    const Origin& origin = *result->origin;
    if (const auto* start = std::get_if<WarmStartOrigin>(&origin)) {
      for (const CheckpointName& source : start->sources) sources->Add(source);
    }
    ASSIGN_OR_RETURN(
        const Rebuilt rebuilt,
        std::visit([&](const auto& kind) { return Rebuild(*checkpoint, kind); },
                   origin));
    if (rebuilt.initial_values.has_value()) {
      sources->Add(*rebuilt.initial_values);
    }
    ASSIGN_OR_RETURN(const auto manifest,
                     store_.GetManifest(result->checkpoint));
    Compare(*manifest, rebuilt.manifest, result);
    Judge(origin, rebuilt.other_device, result);
    return absl::OkStatus();
  }

  absl::StatusOr<Rebuilt> Rebuild(const store::Checkpoint& checkpoint,
                                  const UploadOrigin&) const {
    return RebuildUpload(context_, checkpoint, caller_.cancelled);
  }
  absl::StatusOr<Rebuilt> Rebuild(const store::Checkpoint& checkpoint,
                                  const InitializationOrigin& origin) const {
    return RebuildFresh(context_, checkpoint, origin);
  }
  absl::StatusOr<Rebuilt> Rebuild(const store::Checkpoint& checkpoint,
                                  const WarmStartOrigin& origin) const {
    if (!origin.request.has_value()) {
      return absl::FailedPreconditionError(
          absl::StrCat("its request is not recorded: it has more than ",
                       kMaxRecordedRequest >> 10,
                       " KiB, or was made before requests were recorded"));
    }
    ASSIGN_OR_RETURN(WarmStartRequest request, caller_.read(*origin.request));
    return RebuildWarmStart(context_, checkpoint, origin, std::move(request));
  }

  const Context& context_;
  store::Store& store_;
  const ReproduceCaller& caller_;
};

}  // namespace

absl::Status Reproduce(const Context& context, absl::string_view handle,
                       const ReproduceOptions& options,
                       const ReproduceCaller& caller) {
  ASSIGN_OR_RETURN(const store::Checkpoint checkpoint,
                   FindCheckpoint(*context.store, "name", handle));
  const Reproducer reproducer(context, caller);
  Queue queue;
  queue.Add(checkpoint.name);
  while (!queue.empty()) {
    if (caller.cancelled()) {
      return absl::CancelledError("nobody waits any more");
    }
    const CheckpointName next = queue.Next();
    ASSIGN_OR_RETURN(const Reproduction result, reproducer.Run(next, &queue));
    RETURN_IF_ERROR(caller.take(result));
    if (options.direct) return absl::OkStatus();
    if (queue.num_known() > options.max_checkpoints) {
      return absl::ResourceExhaustedError(absl::StrCat(
          checkpoint.name.ToString(), " was made from more than ",
          options.max_checkpoints,
          " checkpoints; reproduce them one by one, with `direct`"));
    }
  }
  return absl::OkStatus();
}

}  // namespace warmstart::service
