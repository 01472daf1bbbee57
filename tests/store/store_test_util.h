// What the tests of the store share: tensors made up from nothing, saves in one
// line, and a look at the disk behind the store's back.

#ifndef WARMSTART_TESTS_STORE_STORE_TEST_UTIL_H_
#define WARMSTART_TESTS_STORE_STORE_TEST_UTIL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/base/file_system.h"
#include "server/model/architecture.h"
#include "server/model/manifest.h"
#include "server/model/resource_name.h"
#include "server/store/store.h"

namespace warmstart::store {

// Bytes that differ for different seeds.
std::string RandomBytes(size_t size, uint32_t seed);

// With a checksum that is made up, but is the same for the same bytes.
Blob BlobOf(absl::string_view bytes);

// A uint8 vector with these values.
ManifestEntry EntryOf(const std::string& key, absl::string_view bytes);

// Keys and values, in a file's order.
using Tensors = std::vector<std::pair<std::string, std::string>>;

Manifest ManifestOf(const Tensors& tensors);

// One file of all tensors, one after another, each 64-byte aligned.
absl::StatusOr<StagedFile*> StageFile(Draft& draft, const Tensors& tensors);

// The bytes of such a file, and the blobs in it.
std::string FileOf(const Tensors& tensors);
void AddBlobs(Draft& draft, const StagedFile* file, const Tensors& tensors);

// Stages the tensors as one file and commits them. `request` says the rest.
absl::StatusOr<Checkpoint> Save(Store& store, const Tensors& tensors,
                                NewCheckpoint request = {});

// Commits a manifest of tensors that the store should hold.
absl::StatusOr<Checkpoint> SaveReferences(Store& store, const Tensors& tensors,
                                          NewCheckpoint request = {});

// OK when the checkpoint has exactly these tensors, and the store hands out
// their very bytes.
absl::Status CheckReadable(Store& store, const CheckpointName& name,
                           const Tensors& tensors);

// A new upload of one file, called `file`, of which the first `num_bytes` of
// `bytes` have been committed.
absl::StatusOr<UploadName> BeginUpload(Store& store, const std::string& file,
                                       absl::string_view bytes,
                                       size_t num_bytes);
// Commits the next `bytes` of the only file of an upload.
absl::Status WriteToUpload(Store& store, const UploadName& name,
                           absl::string_view bytes);
// The upload whose first file is called so; NOT_FOUND where there is none.
absl::StatusOr<UploadName> FindUpload(Store& store, const std::string& file);
// Commits a checkpoint of an upload of one file of these tensors.
absl::StatusOr<Checkpoint> SaveUpload(Store& store, const UploadName& name,
                                      const Tensors& tensors,
                                      NewCheckpoint request = {});

AliasName MakeAlias(const std::string& name);
CheckpointName MakeCheckpointName(const std::string& id);
ArchitectureName MakeArchitectureName(const std::string& name);

// One float32 weight with `size` elements.
Architecture MakeArchitecture(const std::string& name, int64_t size);

absl::StatusOr<std::unique_ptr<Store>> OpenStore(
    const std::string& data_dir, FileSystem& file_system = PosixFileSystem(),
    Clock& clock = SystemClock());

// Names of the files, sorted.
std::vector<std::string> FilesIn(const std::string& directory);
// The sum of the sizes of all packs.
int64_t PackBytes(const std::string& data_dir);

// Flips one bit in the middle of `bytes`, wherever they are in the file; aborts
// where they are not there.
void FlipBit(const std::string& path, absl::string_view bytes);

// OK when the folder holds what the catalog names and nothing else: every pack
// is there, as long as the catalog says, with all of its blobs inside; no file
// is there that is no pack; nothing is staged; uploads/ has nothing but
// journals and bytes that belong to one. Also that every blob is referenced and
// every pack has one.
absl::Status CheckDisk(const std::string& data_dir,
                       FileSystem& file_system = PosixFileSystem());

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_STORE_TEST_UTIL_H_
