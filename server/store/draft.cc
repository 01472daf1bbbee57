#include "server/store/draft.h"

#include <cstdint>
#include <future>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/pack_builder.h"
#include "server/store/placement.h"

namespace warmstart::store {
namespace {

// How often a commit is tried when blobs that it could have brought itself, but
// found in the store, are deleted under its hands.
constexpr int kMaxAttempts = 3;

// What a disk syncs in a millisecond or so.
constexpr int64_t kLittleBytes = int64_t{1} << 20;

// A staged file, or the scratch space, which is a file that no caller appends
// to.
class DraftFile final : public StagedFile {
 public:
  explicit DraftFile(std::unique_ptr<StagedPack> pack)
      : pack_(std::move(pack)) {}

  absl::Status Append(absl::string_view data) override {
    return pack_->Append(data);
  }
  absl::StatusOr<absl::string_view> Finish() override {
    is_finished_ = true;
    return pack_->Finish();
  }

  StagedPack& pack() { return *pack_; }
  bool is_finished() const { return is_finished_; }

  // The rest is Commit's own.
  absl::string_view bytes;
  std::vector<PlacedBlob> blobs;  // those that the manifest names
  bool is_published = false;

 private:
  const std::unique_ptr<StagedPack> pack_;
  bool is_finished_ = false;
};

class ComposedDraft final : public Draft {
 public:
  ComposedDraft(PackStore& packs, Catalog& catalog, Clock& clock)
      : packs_(packs), catalog_(catalog), clock_(clock) {}

  absl::StatusOr<StagedFile*> NewFile() override {
    ASSIGN_OR_RETURN(std::unique_ptr<StagedPack> pack, packs_.Stage());
    return files_.emplace_back(std::make_unique<DraftFile>(std::move(pack)))
        .get();
  }

  absl::StatusOr<absl::Span<char>> NewScratch(int64_t num_bytes) override {
    if (scratch_ != nullptr) {
      return absl::FailedPreconditionError("a draft has one scratch space");
    }
    ASSIGN_OR_RETURN(std::unique_ptr<StagedPack> pack, packs_.Stage());
    ASSIGN_OR_RETURN(const absl::Span<char> space,
                     pack->MapForWriting(num_bytes));
    scratch_ =
        files_.emplace_back(std::make_unique<DraftFile>(std::move(pack))).get();
    return space;
  }

  void AddBlob(const StagedFile* file, int64_t offset,
               const Blob& blob) override {
    // The empty blob is always there.
    if (blob.num_bytes == 0) return;
    added_.push_back({file == nullptr ? scratch_ : file, {blob, offset}});
  }

  void StartSync() override {
    for (const auto& file : files_) {
      // The scratch space may still be written to.
      if (file->is_finished()) file->pack().StartSync();
    }
  }

  absl::StatusOr<Checkpoint> Commit(const NewCheckpoint& checkpoint) override {
    if (std::exchange(is_spent_, true)) {
      return absl::FailedPreconditionError("a draft is committed once");
    }
    ASSIGN_OR_RETURN(std::optional<Checkpoint> known, FindRequest(checkpoint));
    if (known.has_value()) return *std::move(known);
    RETURN_IF_ERROR(AssignBlobs(checkpoint.manifest));

    const CheckpointName name = CheckpointName::Random();
    absl::StatusOr<Checkpoint> result = TryCommit(name, checkpoint);
    for (int attempt = 1; attempt < kMaxAttempts && !added_.empty() &&
                          absl::IsAborted(result.status());
         ++attempt) {
      result = TryCommit(name, checkpoint);
    }
    if (!result.ok()) WithdrawFiles();
    return result;
  }

 private:
  struct Added {
    const StagedFile* file;
    PlacedBlob placed;
  };

  absl::StatusOr<std::optional<Checkpoint>> FindRequest(
      const NewCheckpoint& checkpoint) {
    ASSIGN_OR_RETURN(const std::optional<CheckpointName> name,
                     catalog_.FindRequest(checkpoint.request_id,
                                          checkpoint.request_fingerprint));
    if (!name.has_value()) return std::nullopt;
    absl::StatusOr<Checkpoint> found = catalog_.GetCheckpoint(*name);
    if (absl::IsNotFound(found.status())) return std::nullopt;  // deleted since
    if (!found.ok()) return found.status();
    return *std::move(found);
  }

  // Gives every file its bytes and those of its blobs that `manifest` names.
  absl::Status AssignBlobs(const Manifest& manifest) {
    absl::flat_hash_map<const StagedFile*, DraftFile*> by_pointer;
    for (const auto& file : files_) {
      ASSIGN_OR_RETURN(file->bytes, file->Finish());
      by_pointer[file.get()] = file.get();
    }
    const absl::flat_hash_set<Digest> named = DigestsOf(manifest);
    for (const Added& added : added_) {
      const auto found = by_pointer.find(added.file);
      if (found == by_pointer.end()) {
        return absl::InvalidArgumentError(
            "a blob was added that is in no file of the draft");
      }
      RETURN_IF_ERROR(CheckInside(*found->second, added.placed));
      if (named.contains(added.placed.blob.digest)) {
        found->second->blobs.push_back(added.placed);
      }
    }
    return absl::OkStatus();
  }

  static absl::Status CheckInside(const DraftFile& file,
                                  const PlacedBlob& placed) {
    const int64_t size = static_cast<int64_t>(file.bytes.size());
    if (placed.offset >= 0 && placed.blob.num_bytes >= 0 &&
        placed.offset <= size &&
        placed.blob.num_bytes <= size - placed.offset) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "a blob of ", placed.blob.num_bytes, " bytes at offset ", placed.offset,
        " is not inside its file of ", size, " bytes"));
  }

  absl::StatusOr<Checkpoint> TryCommit(const CheckpointName& name,
                                       const NewCheckpoint& checkpoint) {
    PackBuilder copies(packs_);
    ASSIGN_OR_RETURN(const std::vector<NewPack> packs, PlaceFiles(copies));
    absl::Status published;
    absl::StatusOr<CommitResult> result =
        PublishAndCommit(name, checkpoint, packs, copies, published);
    if (!published.ok()) return published;  // and so nothing was committed
    if (absl::IsInternal(result.status())) {
      // Whether it was committed, only the next start will know. If it was not,
      // that sweeps the packs away.
      is_outcome_known_ = false;
      return result.status();
    }
    if (!result.ok()) {
      if (!copies.empty()) RemovePack(copies.pack().id);
      return result.status();
    }
    for (const PackId& id : result->unused_packs) RemovePack(id);
    return std::move(result->checkpoint);
  }

  // Syncs the packs and writes the catalog's rows: at the same time where there
  // is little to sync, since both then take about as long, else one after the
  // other, since the catalog's writers queue. Either way the packs are durable
  // before the transaction is committed, or it is not committed.
  absl::StatusOr<CommitResult> PublishAndCommit(
      const CheckpointName& name, const NewCheckpoint& checkpoint,
      const std::vector<NewPack>& packs, PackBuilder& copies,
      absl::Status& published) {
    if (!IsLittle(packs)) {
      published = Publish(packs, copies);
      if (!published.ok()) return published;
      return catalog_.Commit(name, clock_.Now(), checkpoint, packs);
    }
    // Deferred to the wait where there is no thread to be had.
    std::future<absl::Status> publishing =
        std::async(std::launch::async | std::launch::deferred,
                   [&] { return Publish(packs, copies); });
    absl::StatusOr<CommitResult> result = catalog_.Commit(
        name, clock_.Now(), checkpoint, packs, [&]() -> absl::Status {
          published = publishing.get();
          return published;
        });
    if (publishing.valid()) published = publishing.get();
    return result;
  }

  static bool IsLittle(const std::vector<NewPack>& packs) {
    int64_t num_bytes = 0;
    for (const NewPack& pack : packs) num_bytes += pack.num_bytes;
    return num_bytes <= kLittleBytes;
  }

  // Decides for every file, and copies what is to be copied. Returns the packs
  // that are to be published; that of `copies` comes last.
  absl::StatusOr<std::vector<NewPack>> PlaceFiles(PackBuilder& copies) {
    ASSIGN_OR_RETURN(absl::flat_hash_set<Digest> wanted, FindUnknownBlobs());
    std::vector<NewPack> packs;
    for (const auto& file : files_) {
      const std::vector<Run> runs = TakeWanted(*file, wanted);
      const int64_t size = static_cast<int64_t>(file->bytes.size());
      if (file->is_published || (!runs.empty() && ShouldAdopt(size, runs))) {
        // With the blobs that are known as well: should those be deleted before
        // the commit, they are here.
        packs.push_back({file->pack().id(), size, file->blobs});
        continue;
      }
      for (const Run& run : runs) {
        RETURN_IF_ERROR(copies.Append(file->bytes, run));
      }
    }
    if (!copies.empty()) packs.push_back(copies.pack());
    return packs;
  }

  // Which of the files' blobs the store does not hold.
  absl::StatusOr<absl::flat_hash_set<Digest>> FindUnknownBlobs() {
    absl::flat_hash_set<Digest> unknown;
    for (const auto& file : files_) {
      for (const PlacedBlob& placed : file->blobs) {
        unknown.insert(placed.blob.digest);
      }
    }
    const std::vector<Digest> digests(unknown.begin(), unknown.end());
    ASSIGN_OR_RETURN(const auto locations, catalog_.FindBlobs(digests));
    for (size_t i = 0; i < digests.size(); ++i) {
      if (locations[i].has_value()) unknown.erase(digests[i]);
    }
    return unknown;
  }

  // Takes what `file` has out of `wanted`, so that no other file brings it too.
  static std::vector<Run> TakeWanted(const DraftFile& file,
                                     absl::flat_hash_set<Digest>& wanted) {
    std::vector<PlacedBlob> taken;
    for (const PlacedBlob& placed : file.blobs) {
      if (wanted.erase(placed.blob.digest) > 0) taken.push_back(placed);
    }
    return MergeIntoRuns(std::move(taken));
  }

  // Makes the bytes of all `packs` durable, then their names.
  absl::Status Publish(const std::vector<NewPack>& packs, PackBuilder& copies) {
    if (packs.empty()) return absl::OkStatus();
    absl::flat_hash_set<PackId> ids;
    for (const NewPack& pack : packs) ids.insert(pack.id);
    for (const auto& file : files_) {
      if (file->is_published || !ids.contains(file->pack().id())) continue;
      RETURN_IF_ERROR(file->pack().Publish());
      file->is_published = true;
    }
    if (!copies.empty()) RETURN_IF_ERROR(copies.staged().Publish());
    absl::Status status = packs_.Flush();
    if (!status.ok() && !copies.empty()) RemovePack(copies.pack().id);
    return status;
  }

  // After a commit that failed.
  void WithdrawFiles() {
    if (!is_outcome_known_) return;
    for (const auto& file : files_) {
      if (file->is_published) RemovePack(file->pack().id());
    }
  }

  // What cannot be removed now, the next start sweeps.
  void RemovePack(const PackId& id) { packs_.Remove(id).IgnoreError(); }

  PackStore& packs_;
  Catalog& catalog_;
  Clock& clock_;
  std::vector<std::unique_ptr<DraftFile>> files_;
  DraftFile* scratch_ = nullptr;  // one of files_
  std::vector<Added> added_;
  bool is_spent_ = false;
  bool is_outcome_known_ = true;
};

}  // namespace

std::unique_ptr<Draft> NewComposedDraft(PackStore& packs, Catalog& catalog,
                                        Clock& clock) {
  return std::make_unique<ComposedDraft>(packs, catalog, clock);
}

}  // namespace warmstart::store
