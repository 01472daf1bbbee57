#include "server/service/download_tensors.h"

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/service/handles.h"
#include "server/service/lost_tensor.h"

namespace warmstart::service {
namespace {

absl::Status CheckDigests(const Manifest& manifest,
                          const CheckpointName& checkpoint,
                          absl::Span<const Digest> digests) {
  absl::flat_hash_set<Digest> named;
  for (const ManifestEntry& entry : manifest.entries) {
    named.insert(entry.digest);
  }
  for (const SharedStorage& storage : manifest.storages) {
    named.insert(storage.digest);
  }
  for (const Digest& digest : digests) {
    if (named.contains(digest)) continue;
    return WithErrorInfo(
        absl::NotFoundError(absl::StrCat("no tensor of ", checkpoint.ToString(),
                                         " has the digest ", digest.ToHex())),
        reason::kTensorNotFound,
        {{"checkpoint", checkpoint.ToString()}, {"digest", digest.ToHex()}});
  }
  return absl::OkStatus();
}

absl::Status DeletedMeanwhile(const CheckpointName& checkpoint) {
  return WithErrorInfo(
      absl::NotFoundError(absl::StrCat(checkpoint.ToString(),
                                       " was deleted while it was downloaded")),
      reason::kCheckpointNotFound, {{"checkpoint", checkpoint.ToString()}});
}

}  // namespace

absl::Status DownloadTensors(store::Store& store, absl::string_view handle,
                             absl::Span<const Digest> digests,
                             TensorSink sink) {
  ASSIGN_OR_RETURN(const store::Checkpoint checkpoint,
                   FindCheckpoint(store, "name", handle));
  ASSIGN_OR_RETURN(const auto manifest, store.GetManifest(checkpoint.name));
  RETURN_IF_ERROR(CheckDigests(*manifest, checkpoint.name, digests));
  for (const Digest& digest : digests) {
    const absl::StatusOr<store::BlobData> data = store.OpenBlob(digest);
    if (absl::IsNotFound(data.status())) {
      return DeletedMeanwhile(checkpoint.name);
    }
    if (!data.ok()) {
      return NameLostTensor(data.status(), checkpoint.name, *manifest);
    }
    RETURN_IF_ERROR(sink(digest, data->bytes));
  }
  return absl::OkStatus();
}

}  // namespace warmstart::service
