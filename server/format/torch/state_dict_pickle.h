// The pickle inside a .pt file: what Python's pickler makes of a state_dict.

#ifndef WARMSTART_SERVER_FORMAT_TORCH_STATE_DICT_PICKLE_H_
#define WARMSTART_SERVER_FORMAT_TORCH_STATE_DICT_PICKLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/format/writer.h"
#include "server/model/digest.h"
#include "server/model/manifest.h"

namespace warmstart::format {

// The bytes that a storage of the pickle refers to.
struct PickledStorage {
  Digest digest;
  int64_t num_bytes = 0;
};

struct StateDictPickle {
  std::string bytes;
  // The pickle calls them "0", "1", ..., in this order, which is the order in
  // which it first mentions them.
  std::vector<PickledStorage> storages;
};

// An OrderedDict of the manifest's entries, with _metadata where there are
// module versions. An entry with a view shares the storage of that view; each
// other entry gets a storage of its own, even where digests are equal, since
// tensors that share a storage are tied for whoever trains them.
//
// INTERNAL, naming the key, for a view that does not lie inside its storage:
// loading the file would fail.
absl::StatusOr<StateDictPickle> PickleStateDict(const Manifest& manifest);

// A dict of such OrderedDicts, by the keys of the parts. Parts share no
// storage.
absl::StatusOr<StateDictPickle> PickleStateDicts(
    absl::Span<const FilePart> parts);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_TORCH_STATE_DICT_PICKLE_H_
