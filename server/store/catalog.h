// Catalog: rows and transactions. It knows every checkpoint, which blobs it
// needs, and in which pack each blob lies; it touches no pack, and
// of tensors only the bytes that are too few for one. Each method is one
// transaction: it happened as a whole, and lasts, or it did not happen.
//
// A blob is in the catalog for as long as a checkpoint references it, and a
// pack for as long as a blob lies in it; Commit, DeleteCheckpoint and MoveBlobs
// keep that true and say which packs have become nobody's. Small blobs lie in
// no pack, but in the catalog itself. The empty blob is always there, and lies
// nowhere.

#ifndef WARMSTART_SERVER_STORE_CATALOG_H_
#define WARMSTART_SERVER_STORE_CATALOG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/model/architecture.h"
#include "server/model/digest.h"
#include "server/model/manifest.h"
#include "server/model/resource_name.h"
#include "server/store/care.h"
#include "server/store/maintenance/collection.h"
#include "server/store/pack_store.h"
#include "server/store/snapshot.h"
#include "server/store/store.h"

namespace warmstart::store {

// A blob and where it lies in some file.
struct PlacedBlob {
  Blob blob;
  int64_t offset = 0;
};

// A pack, and what is in it.
struct NewPack {
  PackId id;
  int64_t num_bytes = 0;
  std::vector<PlacedBlob> blobs;
};

// A blob that the catalog keeps itself.
struct SmallBlob {
  Blob blob;
  absl::string_view bytes;
};

// What a commit brings.
struct NewBlobs {
  std::vector<NewPack> packs;
  std::vector<SmallBlob> small;
  // The room that was kept for them, which what is stored takes the place of;
  // null where none was.
  Quota::Reservation* reservation = nullptr;
};

struct BlobLocation {
  Blob blob;
  PackId pack;  // "" where the catalog keeps it, and for the empty blob
  int64_t offset = 0;
  // When its bytes were found to be damaged or gone: it is in quarantine.
  std::optional<absl::Time> damage_time;
};

// Where a walk over all blobs stands; the catalog's own business.
struct BlobCursor {
  int64_t pack = 0;
  int64_t blob = 0;
};

struct BlobTotals {
  int64_t num_blobs = 0;
  int64_t num_bytes = 0;
};

// What a look at the whole catalog found.
struct CatalogCheck {
  int64_t num_checkpoints = 0;
  int64_t num_blobs = 0;
  std::vector<PackFile> packs;  // as it knows them
};

// How much of a pack is needed.
struct PackUsage {
  PackId id;
  int64_t num_bytes = 0;
  // Of a fresh pack of the blobs in it: where they overlap, counted once.
  int64_t live_bytes = 0;
  bool has_damage = false;  // one of them was found to be damaged or gone
};

struct CommitResult {
  Checkpoint checkpoint;
  // Those of the packs given that the catalog has no use for: other packs hold
  // their blobs. The caller removes them.
  std::vector<PackId> unused_packs;
  // Packs that are no longer in the catalog, since all that was left in them
  // was damaged, and was placed anew. The caller removes them, too.
  std::vector<PackId> emptied_packs;
};

// Empty fields do not filter. An architecture without a version stands for all
// of its versions.
struct CheckpointFilter {
  std::optional<ArchitectureName> architecture;
  Labels labels;  // all of them must be there
  std::string alias;
  bool alias_is_prefix = false;
};

struct RemovedCheckpoint {
  RetiredCheckpoint checkpoint;
  // As DeleteCheckpoint returns them.
  std::vector<PackId> unused_packs;
};

struct ListedCheckpoint {
  int64_t sequence = 0;  // grows with every commit, and is never used again
  Checkpoint checkpoint;
};

struct ListedCheckpoints {
  std::vector<ListedCheckpoint> checkpoints;
  // The `before` with which the listing goes on; 0 at its end.
  int64_t next_before = 0;
};

// Thread-safe. Errors beyond those listed: DATA_LOSS where the catalog is
// corrupt, RESOURCE_EXHAUSTED where the disk is full (both change nothing), and
// INTERNAL where the disk fails; then what was being changed may come to last
// or not, and only opening the catalog again tells.
class Catalog {
 public:
  // Where a listing by sequence or version begins that has no bound.
  static constexpr int64_t kNewest = INT64_MAX;

  virtual ~Catalog() = default;

  // Makes the checkpoint `name`. One of `blobs` that the catalog knows already
  // stays where it was, unless it is damaged there; one that the manifest does
  // not need is not recorded.
  // Where the request_id is known, returns the checkpoint of the first request,
  // with all packs unused. The errors are those of Draft::Commit, and
  // INVALID_ARGUMENT for a manifest that contradicts itself or its blobs.
  //
  // `wait_for_packs` is called last, before the transaction is committed: it
  // returns OK once the packs are durable. When it fails, so does the commit,
  // with its status. Other writers wait meanwhile.
  virtual absl::StatusOr<CommitResult> Commit(
      const CheckpointName& name, absl::Time create_time,
      const NewCheckpoint& checkpoint, const NewBlobs& blobs,
      absl::FunctionRef<absl::Status()> wait_for_packs) = 0;
  // For packs that are durable already.
  absl::StatusOr<CommitResult> Commit(const CheckpointName& name,
                                      absl::Time create_time,
                                      const NewCheckpoint& checkpoint,
                                      const NewBlobs& blobs) {
    return Commit(name, create_time, checkpoint, blobs,
                  [] { return absl::OkStatus(); });
  }

  // As Store::DeleteCheckpoint. Returns the packs that nothing references any
  // more; they are no longer in the catalog, and the caller removes them.
  virtual absl::StatusOr<std::vector<PackId>> DeleteCheckpoint(
      const CheckpointName& name, bool force) = 0;

  // NOT_FOUND where there is no such checkpoint or alias; so for all below.
  virtual absl::Status CheckExists(const CheckpointName& name) = 0;
  virtual absl::StatusOr<CheckpointName> ResolveAlias(
      const AliasName& alias) = 0;
  virtual absl::StatusOr<Checkpoint> GetCheckpoint(
      const CheckpointName& name) = 0;
  virtual absl::StatusOr<Manifest> GetManifest(const CheckpointName& name) = 0;
  // A duration counts from `now`.
  virtual absl::StatusOr<Checkpoint> UpdateCheckpoint(
      const CheckpointName& name, const CheckpointUpdate& update,
      absl::Time now) = 0;

  // As the Store's.
  virtual absl::StatusOr<std::vector<RetiredCheckpoint>> FindRetired(
      const RetentionPolicy& policy, int limit) = 0;
  virtual absl::StatusOr<std::optional<RemovedCheckpoint>> DeleteRetired(
      const CheckpointName& name, const RetentionPolicy& policy) = 0;

  // What is stored, kept up with every transaction. Commit is
  // RESOURCE_EXHAUSTED where it does not fit.
  virtual Quota& quota() = 0;

  // The newest `limit` checkpoints with a sequence below `before`, newest
  // first; fewer, also none, where it would take long to find so many, and then
  // there may be more.
  virtual absl::StatusOr<ListedCheckpoints> ListCheckpoints(
      const CheckpointFilter& filter, int64_t before, int limit) = 0;

  virtual absl::StatusOr<Alias> SetAlias(const AliasName& alias,
                                         const CheckpointName& checkpoint,
                                         absl::Time update_time) = 0;
  virtual absl::Status DeleteAlias(const AliasName& alias) = 0;
  // The first `limit` whose name comes after `after`, by name; so for
  // ListArchitectures.
  virtual absl::StatusOr<std::vector<Alias>> ListAliases(
      const std::string& after, int limit) = 0;

  // These are as the Store's.
  virtual absl::StatusOr<int64_t> PutArchitecture(
      const Architecture& architecture) = 0;
  virtual absl::StatusOr<int64_t> PreviewArchitecture(
      const Architecture& architecture) = 0;
  virtual absl::StatusOr<Architecture> GetArchitecture(
      const ArchitectureName& name) = 0;
  virtual absl::StatusOr<std::vector<Architecture>> ListArchitectures(
      const std::string& after, int limit) = 0;
  // The newest `limit` versions below `before`, newest first.
  virtual absl::StatusOr<std::vector<Architecture>> ListArchitectureVersions(
      const ArchitectureName& name, int64_t before, int limit) = 0;
  virtual absl::Status DeleteArchitecture(const ArchitectureName& name,
                                          bool force) = 0;

  // As Store::FindRequest.
  virtual absl::StatusOr<std::optional<CheckpointName>> FindRequest(
      const std::string& request_id, const Digest& fingerprint) = 0;

  // One for each digest, nullopt where the catalog does not know it.
  virtual absl::StatusOr<std::vector<std::optional<BlobLocation>>> FindBlobs(
      absl::Span<const Digest> digests) = 0;

  // The bytes of a blob that the catalog keeps itself. NOT_FOUND where it does
  // not know it, DATA_LOSS where it does, but has not all of its bytes.
  virtual absl::StatusOr<std::string> ReadBlob(const Digest& digest) = 0;

  // The ids of all packs, in no particular order.
  virtual absl::StatusOr<std::vector<PackId>> ListPacks() = 0;

  // Writes one state of the catalog, as the file of a catalog of its own, to
  // `path`, where an empty file is; others go on writing meanwhile. Returns the
  // packs that it names, oldest first. The copy is not synced.
  virtual absl::StatusOr<std::vector<SnapshotPack>> CopyTo(
      const std::string& path) = 0;

  // All packs, the oldest first.
  virtual absl::StatusOr<std::vector<PackUsage>> ListPackUsage() = 0;

  // The blobs that lie in a pack, by offset; none where there is no such pack.
  virtual absl::StatusOr<std::vector<PlacedBlob>> ListBlobs(
      const PackId& pack) = 0;

  // Says that the blobs of `to`, which is durable, lie there, and no longer in
  // `from`. That holds for those that the catalog still knows, that still lie
  // in one of `from` and are not damaged; the others stay as they are. Returns
  // those of `from` in which nothing is left, and `to` where nothing came to
  // lie there; they are not, or no longer, in the catalog, and the caller
  // removes them.
  virtual absl::StatusOr<std::vector<PackId>> MoveBlobs(
      const NewPack& to, absl::Span<const PackId> from) = 0;

  // Decides what INTERNAL left open: what was not committed then, as the
  // catalog shows it now, never will be.
  virtual absl::Status Settle() = 0;

  virtual absl::StatusOr<CatalogSpace> MeasureSpace() = 0;

  // Of all blobs but the empty one.
  virtual absl::StatusOr<BlobTotals> CountBlobs() = 0;
  // The next `limit` blobs but the empty one, pack by pack, those that the
  // catalog keeps first; none at the end. A walk of several calls meets each
  // blob that is there from its beginning to its end, but for those that a
  // commit places anew meanwhile.
  virtual absl::StatusOr<std::vector<BlobLocation>> NextBlobs(
      BlobCursor& cursor, int limit) = 0;

  // Puts those of `blobs` into quarantine that still lie where they are said to
  // lie, and are not in it yet. The bytes that the catalog keeps are looked at
  // once more. Returns how many they were.
  virtual absl::StatusOr<int64_t> MarkDamaged(
      absl::Span<const BlobLocation> blobs, absl::Time damage_time) = 0;
  // Takes those of `blobs` out that still lie there. Returns how many.
  virtual absl::StatusOr<int64_t> MarkIntact(
      absl::Span<const BlobLocation> blobs) = 0;
  // What is in quarantine. Costs a scan of all entries, where there is any.
  virtual absl::StatusOr<Damage> FindDamage(const DamageLimits& limits) = 0;

  // Looks at every row, on one state of the catalog, and tells `finding`, in
  // words, what contradicts what. The packs are not looked at.
  virtual absl::StatusOr<CatalogCheck> Check(
      absl::FunctionRef<void(std::string)> finding) = 0;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_CATALOG_H_
