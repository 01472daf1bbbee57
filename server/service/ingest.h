// Ingest: from the contents of uploaded files to blobs of the store.

#ifndef WARMSTART_SERVER_SERVICE_INGEST_H_
#define WARMSTART_SERVER_SERVICE_INGEST_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/format/file_contents.h"
#include "server/model/manifest.h"
#include "server/store/store.h"

namespace warmstart::service {

// Adds to `draft` every tensor of `contents`, and every storage that several
// tensors share, and returns the manifest. Tensors that stand contiguous in a
// file stay there; others (transposed, expanded, big-endian) are laid out anew
// in the draft's scratch space. `staged` are the files of the contents, in
// order.
//
// Digests are computed on all cores, and the checksums of the container are
// compared on the way.
//   INVALID_ARGUMENT    the bytes of a tensor do not have the checksum that
//                       their file records
//   RESOURCE_EXHAUSTED  the disk is full
absl::StatusOr<Manifest> Ingest(
    const format::FileContents& contents,
    absl::Span<const format::FileView> files,
    absl::Span<const store::StagedFile* const> staged, store::Draft& draft);

// The blob that `bytes` are.
store::Blob MakeBlob(absl::string_view bytes);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_INGEST_H_
