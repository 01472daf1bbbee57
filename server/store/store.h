// Store: checkpoints that last. It composes the pack store (tensor bytes) and
// the catalog (rows), and is the only place that knows the order of a commit:
// stage, fsync, rename into packs/, fsync the folder, commit the catalog
// transaction. What was committed survives kill -9 and power loss; what was not
// is invisible, and swept when the store is next opened.
//
//   data_dir/
//     LOCK             held while a server has the store open
//     catalog.sqlite3  (+ -wal, -shm): all else, and tensors too small to need
//     a
//                      pack
//     packs/           immutable files, each holding many blobs
//     staging/         files being received; emptied at every start
//     uploads/         files being received that outlive the process
//
// Thread-safe, all of it, but for a Draft, which belongs to one request.

#ifndef WARMSTART_SERVER_STORE_STORE_H_
#define WARMSTART_SERVER_STORE_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/base/clock.h"
#include "server/base/file_system.h"
#include "server/model/architecture.h"
#include "server/model/digest.h"
#include "server/model/manifest.h"
#include "server/model/resource_name.h"
#include "server/store/care.h"
#include "server/store/maintenance/collection.h"
#include "server/store/policy/quota.h"
#include "server/store/policy/retention.h"
#include "server/store/uploads/upload_name.h"

namespace warmstart::store {

class UploadStore;  // server/store/uploads/upload_store.h

// Bytes that the store keeps once: a tensor's values or a shared storage.
struct Blob {
  Digest digest;
  int64_t num_bytes = 0;
  uint32_t crc32 = 0;
};

// The bytes of a blob, readable for as long as this object lives.
struct BlobData {
  absl::string_view bytes;
  std::shared_ptr<const void> owner;
};

using Labels = std::map<std::string, std::string>;

struct Checkpoint {
  CheckpointName name;
  std::optional<ArchitectureName> architecture;  // where one was named
  absl::Time create_time;
  Labels labels;
  std::vector<AliasName> aliases;  // those that point to it, sorted
  int64_t num_tensors = 0;
  int64_t num_bytes = 0;    // of its tensors, each counted once
  std::string report_json;  // MatchReportToJson; "" where there is none
  std::string origin_json;  // where it came from; the service's own text
  std::optional<absl::Time> expire_time;  // when it may go; else it stays
};

struct NewCheckpoint {
  std::optional<ArchitectureName> architecture;
  Manifest manifest;
  Labels labels;
  std::string report_json;
  std::string origin_json;
  // Set to the new checkpoint in the same commit.
  std::optional<AliasName> alias;
  // "" where the client gave none. Retries with the same id get the checkpoint
  // of the first; `request_fingerprint` tells a retry from a mistake.
  std::string request_id;
  Digest request_fingerprint;
  Expiration expiration;  // a duration counts from the commit
};

// What of a checkpoint is to change.
struct CheckpointUpdate {
  std::optional<Labels> labels;          // replace all labels
  std::optional<Expiration> expiration;  // a duration counts from the change
};

// A file being received, or scratch space for new tensors, in staging/.
class StagedFile {
 public:
  virtual ~StagedFile() = default;
  virtual absl::Status Append(absl::string_view data) = 0;
  // Ends the appends and gives all bytes, readable while the Draft lives.
  virtual absl::StatusOr<absl::string_view> Finish() = 0;
};

// A file of an upload that a draft has adopted.
struct AdoptedFile {
  std::string name;  // as the client gave it
  StagedFile* file;  // complete; lives as long as the Draft
};

// A checkpoint in the making. Dropping it without Commit leaves nothing behind.
class Draft {
 public:
  virtual ~Draft() = default;

  // The pointer lives as long as the Draft. Room is kept for as many bytes as
  // are expected; more may come. RESOURCE_EXHAUSTED, with QUOTA_EXCEEDED, where
  // the limits of the store are reached: so too for an Append, NewScratch and
  // Commit.
  virtual absl::StatusOr<StagedFile*> NewFile(int64_t expected_bytes) = 0;
  absl::StatusOr<StagedFile*> NewFile() { return NewFile(0); }
  // The files of a complete upload, in order. It is the draft's alone from now
  // on; Commit removes it, and where that fails or never comes, it is as it
  // was. At most one for a Draft.
  //   NOT_FOUND            there is no such upload
  //   FAILED_PRECONDITION  bytes of it are missing
  //   ABORTED              somebody else is writing or saving it
  virtual absl::StatusOr<std::vector<AdoptedFile>> AdoptUpload(
      const UploadName& name) = 0;
  // `num_bytes` of zeros to write new tensors into; on the disk and not in
  // memory, unless they are few. At most one for a Draft.
  virtual absl::StatusOr<absl::Span<char>> NewScratch(int64_t num_bytes) = 0;

  // Says that `blob` stands in `file` (or, where null, in the scratch space) at
  // `offset`. Blobs may overlap and repeat.
  virtual void AddBlob(const StagedFile* file, int64_t offset,
                       const Blob& blob) = 0;

  // Starts writing what was received to the disk, while the caller computes
  // digests. Optional; never blocks for long.
  virtual void StartSync() = 0;

  // The one commit point. Every digest in the manifest must be a blob that was
  // added here or that the store holds. A staged file is adopted as a pack in
  // place when at least half of its bytes are new blobs; otherwise its new
  // blobs are copied into a fresh pack. Where all new blobs together are small,
  // they go into the catalog, and no pack is made. A blob that the store holds
  // in quarantine is new again: its bytes are taken from here, and whoever
  // needs them has them back.
  //   ABORTED            a blob that the manifest names, and that was not added
  //                      here, is no longer there (its last checkpoint was
  //                      deleted meanwhile); retry
  //   DATA_LOSS          a blob that the manifest names, and that was not added
  //                      here, is in quarantine; the digest is in the metadata
  //   INVALID_ARGUMENT   the request_id was used with another fingerprint
  //   RESOURCE_EXHAUSTED the disk is full, or a limit of the store is reached
  // On any error nothing has changed. When the request_id is known, returns the
  // checkpoint of the first request and stores nothing.
  virtual absl::StatusOr<Checkpoint> Commit(
      const NewCheckpoint& checkpoint) = 0;
};

struct ListCheckpointsOptions {
  // Empty fields do not filter. `labels`: all of them must be there.
  // One without a version stands for all versions.
  std::optional<ArchitectureName> architecture;
  Labels labels;
  std::string alias;  // exact, or a prefix that ends in "*"
  int page_size = 50;
  std::string page_token;  // "" or what the previous page gave
};

struct CheckpointPage {
  // Newest first. A page may end early, even empty, where the next checkpoint
  // that all filters let pass is far away.
  std::vector<Checkpoint> checkpoints;
  std::string next_page_token;  // "" at the end
};

struct Alias {
  AliasName name;
  CheckpointName checkpoint;
  absl::Time update_time;
};

struct AliasPage {
  std::vector<Alias> aliases;  // by name
  std::string next_page_token;
};

struct ArchitecturePage {
  std::vector<Architecture> architectures;
  std::string next_page_token;
};

class Snapshot;  // server/store/snapshot.h

// Whether what is read is compared with its digest.
enum class VerifyReads {
  kFirst,  // when it is first read since the store was opened
  kNever,
};

struct StoreOptions {
  std::string data_dir;  // made where it does not exist
  FileSystem* file_system = &PosixFileSystem();
  Clock* clock = &SystemClock();
  VerifyReads verify_reads = VerifyReads::kFirst;
  StoreLimits limits;
  // How long an upload lives after the last of its bytes.
  absl::Duration upload_ttl = absl::Hours(24);
};

class Store {
 public:
  // FAILED_PRECONDITION when another process has the store open, when its
  // schema version is newer than this program knows, or when there are packs
  // but no catalog; DATA_LOSS when the catalog is corrupt. Migrates older
  // schemas and sweeps what no commit finished.
  static absl::StatusOr<std::unique_ptr<Store>> Open(
      const StoreOptions& options);
  virtual ~Store() = default;

  virtual std::unique_ptr<Draft> NewDraft() = 0;

  // Files that come in pieces, for Draft::AdoptUpload.
  virtual UploadStore& uploads() = 0;

  // Turns "checkpoints/{id}" or "aliases/{alias}" into a checkpoint's name.
  // INVALID_ARGUMENT for other text, NOT_FOUND where there is none.
  virtual absl::StatusOr<CheckpointName> Resolve(absl::string_view handle) = 0;
  // NOT_FOUND where there is no such checkpoint; so for all below.
  virtual absl::StatusOr<Checkpoint> GetCheckpoint(
      const CheckpointName& name) = 0;
  // Shared with the store, which keeps those that were asked for last.
  virtual absl::StatusOr<std::shared_ptr<const Manifest>> GetManifest(
      const CheckpointName& name) = 0;
  // INVALID_ARGUMENT for a page token that this store did not give.
  virtual absl::StatusOr<CheckpointPage> ListCheckpoints(
      const ListCheckpointsOptions& options) = 0;
  virtual absl::StatusOr<Checkpoint> UpdateCheckpoint(
      const CheckpointName& name, const CheckpointUpdate& update) = 0;
  // Replaces all labels.
  absl::StatusOr<Checkpoint> SetLabels(const CheckpointName& name,
                                       const Labels& labels) {
    return UpdateCheckpoint(name, {.labels = labels});
  }
  // FAILED_PRECONDITION, naming them, while aliases point to it; with `force`
  // they go with it. Also while an architecture has its initial values, and
  // then `force` does not help. Blobs and packs that nothing references any
  // more are removed; bytes that a BlobData or a Draft holds stay readable.
  virtual absl::Status DeleteCheckpoint(const CheckpointName& name,
                                        bool force) = 0;

  // Checkpoints that are to go, at most `limit` of them.
  virtual absl::StatusOr<std::vector<RetiredCheckpoint>> FindRetired(
      const RetentionPolicy& policy, int limit) = 0;
  // Deletes one of them and tells why; nullopt, and nothing is deleted, where
  // that has changed since it was found.
  virtual absl::StatusOr<std::optional<RetiredCheckpoint>> DeleteRetired(
      const CheckpointName& name, const RetentionPolicy& policy) = 0;

  // How much there is, and may be.
  virtual StoreUsage usage() = 0;
  virtual StoreLimits limits() = 0;

  // Creates or moves an alias.
  virtual absl::StatusOr<Alias> SetAlias(const AliasName& alias,
                                         const CheckpointName& checkpoint) = 0;
  virtual absl::Status DeleteAlias(const AliasName& alias) = 0;
  virtual absl::StatusOr<AliasPage> ListAliases(
      int page_size, const std::string& page_token) = 0;

  // Returns the version of its name that says the same as `architecture`; where
  // there is none, it becomes the name's next one. Its own version does not
  // count, nor which checkpoint keeps its initial values. Versions count from
  // 1, and none is ever used again. NOT_FOUND where the checkpoint of its
  // initial values is needed and not there.
  virtual absl::StatusOr<int64_t> PutArchitecture(
      const Architecture& architecture) = 0;
  // The version that PutArchitecture would return; changes nothing.
  virtual absl::StatusOr<int64_t> PreviewArchitecture(
      const Architecture& architecture) = 0;
  // Without a version, the newest.
  virtual absl::StatusOr<Architecture> GetArchitecture(
      const ArchitectureName& name) = 0;
  // The newest version of each name, by name.
  virtual absl::StatusOr<ArchitecturePage> ListArchitectures(
      int page_size, const std::string& page_token) = 0;
  // All versions of one name, the newest first; NOT_FOUND where there is none.
  virtual absl::StatusOr<ArchitecturePage> ListArchitectureVersions(
      const ArchitectureName& name, int page_size,
      const std::string& page_token) = 0;
  // Without a version, all of them. FAILED_PRECONDITION while checkpoints name
  // one that would go, unless `force`; the checkpoints stay.
  virtual absl::Status DeleteArchitecture(const ArchitectureName& name,
                                          bool force) = 0;

  // The checkpoint that a request with this id made; nullopt where there is
  // none; INVALID_ARGUMENT when it was another request.
  virtual absl::StatusOr<std::optional<CheckpointName>> FindRequest(
      const std::string& request_id, const Digest& fingerprint) = 0;

  // One for each digest, nullopt for those that a checkpoint which names them
  // has to bring: the store does not hold them.
  virtual absl::StatusOr<std::vector<std::optional<Blob>>> FindBlobs(
      absl::Span<const Digest> digests) = 0;
  // NOT_FOUND for a digest that the store does not hold.
  virtual absl::StatusOr<Blob> GetBlob(const Digest& digest) = 0;
  // DATA_LOSS, with the digest in its metadata, when the blob's pack is gone or
  // too short, or, as StoreOptions has it, when its bytes are not what they
  // were. Where a second look finds the same, the blob is put into quarantine,
  // and this is DATA_LOSS without a look from then on.
  virtual absl::StatusOr<BlobData> OpenBlob(const Digest& digest) = 0;

  // All that the store holds at this moment, to be copied while others go on
  // saving and deleting. It takes as long as writing the catalog, and its space
  // in staging/. RESOURCE_EXHAUSTED when the disk is full.
  virtual absl::StatusOr<std::unique_ptr<Snapshot>> TakeSnapshot() = 0;

  // Rewrites packs that are mostly dead, merges small ones, and removes files
  // that nobody references, beside all other calls: what a BlobData holds stays
  // readable, and no request waits for it longer than for another commit. A
  // pack is changed as a whole or not at all. ABORTED while another collection
  // is under way, but for dry runs; CANCELLED and other errors leave what was
  // done until then, which is sound.
  virtual absl::StatusOr<Collection> CollectGarbage(
      const CollectOptions& options) = 0;

  // Reads every blob from the disk, one after another in the order in which
  // they lie, and compares it with its digest. One that is damaged, gone or
  // cannot be read, twice, is put into quarantine; one in quarantine whose
  // bytes are what they should be is taken out. Ends with the status of
  // `report` where that is not OK, and with the file's error where a pack
  // cannot be opened for another reason; what was found until then is kept.
  virtual absl::StatusOr<ScrubResult> Scrub(ScrubReporter report) = 0;
  // What is in quarantine, and who needs it. Reads no blob. Within limits of 0
  // it only counts, which takes next to no time.
  virtual absl::StatusOr<Damage> FindDamage(const DamageLimits& limits) = 0;
  // Whether the catalog contradicts itself or the files in packs/; changes
  // nothing, and reads no pack.
  virtual absl::StatusOr<CheckResult> Check() = 0;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_STORE_H_
