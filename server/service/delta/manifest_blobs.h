// Where the blobs of a manifest come from that a client sent in place of a
// file: from the files that came with it, from the store, and, those of views,
// from the storages that they are views of.

#ifndef WARMSTART_SERVER_SERVICE_DELTA_MANIFEST_BLOBS_H_
#define WARMSTART_SERVER_SERVICE_DELTA_MANIFEST_BLOBS_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/format/file_contents.h"
#include "server/model/manifest.h"
#include "server/service/ingest.h"
#include "server/store/store.h"

namespace warmstart::service {

// Makes `draft` one that can be committed with `manifest`; `contents` is what
// format::ReadManifest made of that, and `brought` was added to the draft
// already. The blobs of views that nobody has are added, in place where that is
// possible. Views are read and compared with their digests, on all cores, but
// for those that are the whole of their storage.
//
//   INVALID_ARGUMENT     a blob has another size than its tensor; the values of
//                        a view are not what its digest says
//   FAILED_PRECONDITION  blobs that were neither brought nor are in the store,
//                        with the reason TENSORS_MISSING, how many they are,
//                        and the key and digest of the first
//   ABORTED              a storage was deleted meanwhile
//   RESOURCE_EXHAUSTED   the disk is full
absl::Status CompleteDraft(const Manifest& manifest,
                           const format::FileContents& contents,
                           absl::Span<const IngestedBlob> brought,
                           store::Store& store, store::Draft& draft);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_DELTA_MANIFEST_BLOBS_H_
