#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/status_macros.h"
#include "server/format/torch/state_dict_pickle.h"
#include "server/format/torch/zip_writer.h"
#include "server/format/writer.h"
#include "server/model/digest.h"

namespace warmstart::format {
namespace {

// 40 decimal digits, as PyTorch's writer derives from the records' names and
// checksums. Its readers use the id as an opaque name of the contents, so ours
// is a digest of them.
std::string SerializationId(const StateDictPickle& pickle) {
  Hasher hasher;
  hasher.Update(pickle.bytes);
  for (const PickledStorage& storage : pickle.storages) {
    hasher.Update(storage.digest.bytes());
  }
  const Digest digest = hasher.Finish();
  uint64_t halves[2];
  std::memcpy(halves, digest.bytes().data(), sizeof(halves));
  return absl::StrFormat("%020d%020d", halves[0], halves[1]);
}

// The records and their order are those of torch.save in PyTorch 2.11.
absl::StatusOr<FileLayout> LayoutZip(const StateDictPickle& pickle,
                                     Crc32Of crc32_of) {
  ZipLayout zip("archive");
  zip.AddLiteral("data.pkl", pickle.bytes);
  zip.AddLiteral(".format_version", "1");
  zip.AddLiteral(".storage_alignment", "64");
  zip.AddLiteral("byteorder", "little");
  for (size_t i = 0; i < pickle.storages.size(); ++i) {
    const PickledStorage& storage = pickle.storages[i];
    uint32_t crc32 = 0;
    if (storage.num_bytes > 0) {
      ASSIGN_OR_RETURN(crc32, crc32_of(storage.digest));
    }
    zip.AddBlob(absl::StrCat("data/", i), storage.digest, storage.num_bytes,
                crc32);
  }
  zip.AddLiteral("version", "3\n");
  zip.AddLiteral(".data/serialization_id", SerializationId(pickle));
  return std::move(zip).Finish();
}

}  // namespace

absl::StatusOr<FileLayout> LayoutTorchFile(const Manifest& manifest,
                                           Crc32Of crc32_of) {
  ASSIGN_OR_RETURN(const StateDictPickle pickle, PickleStateDict(manifest));
  return LayoutZip(pickle, crc32_of);
}

absl::StatusOr<FileLayout> LayoutTorchFile(absl::Span<const FilePart> parts,
                                           Crc32Of crc32_of) {
  ASSIGN_OR_RETURN(const StateDictPickle pickle, PickleStateDicts(parts));
  return LayoutZip(pickle, crc32_of);
}

}  // namespace warmstart::format
