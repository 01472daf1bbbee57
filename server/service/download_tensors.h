// DownloadTensors: tensors of a checkpoint, one by one.

#ifndef WARMSTART_SERVER_SERVICE_DOWNLOAD_TENSORS_H_
#define WARMSTART_SERVER_SERVICE_DOWNLOAD_TENSORS_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/digest.h"
#include "server/store/store.h"

namespace warmstart::service {

// Takes a tensor's bytes, which live no longer than the call. Its failure ends
// the download.
using TensorSink =
    absl::FunctionRef<absl::Status(const Digest&, absl::string_view bytes)>;

// Calls `sink` with each of `digests`, in order, all of which must be tensors
// or shared storages of the checkpoint. Before that, NOT_FOUND for a digest
// that is none; then DATA_LOSS for bytes that cannot be read, and NOT_FOUND
// when the checkpoint was deleted meanwhile.
absl::Status DownloadTensors(store::Store& store, absl::string_view handle,
                             absl::Span<const Digest> digests, TensorSink sink);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_DOWNLOAD_TENSORS_H_
