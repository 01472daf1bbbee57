// Reads a manifest that a client sends in place of a file, and holds it to the
// rules that files are held to.

#ifndef WARMSTART_SERVER_FORMAT_MANIFEST_READER_H_
#define WARMSTART_SERVER_FORMAT_MANIFEST_READER_H_

#include "absl/status/statusor.h"
#include "server/format/file_contents.h"
#include "server/model/manifest.h"

namespace warmstart::format {

// The contents of a file that `manifest` would be the manifest of: its tensors
// in the order of the entries; its storages those of the manifest, in their
// order, then one for each entry that is not a view. No bytes are looked at:
// each storage stands for a file of its own (FileStorage::file is its index),
// and the digests are not checked. The metadata has the text that the readers
// of files give it.
//
// INVALID_ARGUMENT, naming the key or the path, for a manifest without entries;
// keys that no file may have, or that are there twice; views that lie outside
// of their storage, have no elements or expand too much; storages that no entry
// views; subtrees without tensors, paths that are no UTF-8 or there twice;
// metadata that is no JSON object, too deep or too long. Pure and thread-safe.
absl::StatusOr<FileContents> ReadManifest(const Manifest& manifest);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_MANIFEST_READER_H_
