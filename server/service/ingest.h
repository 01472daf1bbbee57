// Ingest: from the contents of uploaded files to blobs of the store.

#ifndef WARMSTART_SERVER_SERVICE_INGEST_H_
#define WARMSTART_SERVER_SERVICE_INGEST_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/format/file_contents.h"
#include "server/model/digest.h"
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

// A blob that was ingested, and its bytes, which last as long as the draft.
struct IngestedBlob {
  store::Blob blob;
  const store::StagedFile* file;  // null for the scratch space
  int64_t offset;                 // in it
  absl::string_view bytes;
};

// The same for files that bring bytes of a manifest which came otherwise: adds
// the blobs, each once, and returns them.
absl::StatusOr<std::vector<IngestedBlob>> IngestBlobs(
    const format::FileContents& contents,
    absl::Span<const format::FileView> files,
    absl::Span<const store::StagedFile* const> staged, store::Draft& draft);

// Computes a blob of bytes that come in pieces. Not thread-safe.
class BlobHasher {
 public:
  void Update(absl::string_view bytes);
  // Call once, last.
  store::Blob Finish();

 private:
  Hasher hasher_;
  int64_t num_bytes_ = 0;
  uint32_t crc32_ = 0;
};

// The blob that `bytes` are.
store::Blob MakeBlob(absl::string_view bytes);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_INGEST_H_
