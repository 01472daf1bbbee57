#include "server/store/draft.h"

#include <algorithm>
#include <cstdint>
#include <future>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "server/base/status_macros.h"
#include "server/store/pack_builder.h"
#include "server/store/placement.h"

namespace warmstart::store {
namespace {

// How often a commit brings no more than what it does not find in the store.
// What it found may be deleted, or found to be damaged, before it is committed.
// After that it brings all that it has, and depends on nobody.
constexpr int kFrugalAttempts = 2;

// What a disk syncs in a millisecond or so.
constexpr int64_t kLittleBytes = int64_t{1} << 20;

// The room that a draft takes, while it receives.
class DraftRoom {
 public:
  explicit DraftRoom(Quota& quota) : quota_(quota), reservation_(quota) {}

  absl::Status TakeForFiles(int64_t num_bytes) {
    // Where the sum is more than a number holds, it is more than any limit.
    const int64_t limit = std::numeric_limits<int64_t>::max() - num_bytes;
    const int64_t sum = std::min(file_bytes_, limit) + num_bytes;
    RETURN_IF_ERROR(quota_.CheckUpload(sum));
    RETURN_IF_ERROR(reservation_.Grow(num_bytes));
    file_bytes_ = sum;
    return absl::OkStatus();
  }
  // The upload's own room, which it had from the beginning.
  absl::Status TakeFor(TakenUpload& upload) {
    const int64_t num_bytes = NumBytes(upload.files());
    RETURN_IF_ERROR(quota_.CheckUpload(num_bytes));
    upload.GiveRoomTo(reservation_);
    file_bytes_ = num_bytes;
    return absl::OkStatus();
  }
  absl::Status TakeForScratch(int64_t num_bytes) {
    return reservation_.Grow(num_bytes);
  }
  Quota::Reservation& reservation() { return reservation_; }

 private:
  Quota& quota_;
  Quota::Reservation reservation_;
  int64_t file_bytes_ = 0;
};

// A staged file, or the scratch space, which is a file that no caller appends
// to.
class DraftFile final : public StagedFile {
 public:
  // Room was taken for `room_bytes`.
  DraftFile(std::unique_ptr<StagedPack> pack, DraftRoom& room,
            int64_t room_bytes)
      : pack_(std::move(pack)), room_(&room), room_bytes_(room_bytes) {}
  // Scratch space.
  explicit DraftFile(std::unique_ptr<StagedPack> pack)
      : pack_(std::move(pack)) {}
  // Scratch space of so few bytes that no pack will be made of it.
  explicit DraftFile(int64_t num_bytes)
      : memory_(std::make_unique<char[]>(num_bytes)), num_bytes_(num_bytes) {}

  absl::Status Append(absl::string_view data) override {
    received_ += static_cast<int64_t>(data.size());
    if (received_ > room_bytes_) {
      RETURN_IF_ERROR(room_->TakeForFiles(received_ - room_bytes_));
      room_bytes_ = received_;
    }
    return pack_->Append(data);
  }
  absl::StatusOr<absl::string_view> Finish() override {
    if (pack_ == nullptr) return absl::string_view(memory_.get(), num_bytes_);
    ASSIGN_OR_RETURN(const absl::string_view bytes, pack_->Finish());
    num_bytes_ = static_cast<int64_t>(bytes.size());
    is_finished_ = true;
    return bytes;
  }

  // Starts writing to the disk what will be a pack, if it is complete: scratch
  // space may still be written to, and what is small goes into the catalog.
  void StartSync() {
    if (is_finished_ && num_bytes_ > kMaxSmallBytes) pack_->StartSync();
  }

  // Null for memory.
  StagedPack* pack() const { return pack_.get(); }
  absl::Span<char> memory() const {
    return absl::MakeSpan(memory_.get(), num_bytes_);
  }

  // The rest is Commit's own.
  absl::string_view bytes;
  std::vector<PlacedBlob> blobs;  // those that the manifest names
  bool is_published = false;

 private:
  const std::unique_ptr<StagedPack> pack_;
  const std::unique_ptr<char[]> memory_;
  DraftRoom* const room_ = nullptr;  // null for scratch space
  int64_t room_bytes_ = 0;
  int64_t received_ = 0;
  int64_t num_bytes_ = 0;
  bool is_finished_ = false;
};

class ComposedDraft final : public Draft {
 public:
  ComposedDraft(PackStore& packs, Catalog& catalog, UploadStore& uploads,
                Clock& clock)
      : packs_(packs),
        catalog_(catalog),
        uploads_(uploads),
        clock_(clock),
        room_(catalog.quota()) {}

  // An upload that has not become a checkpoint stays.
  ~ComposedDraft() override {
    if (upload_ != nullptr) upload_->TakeRoomFrom(room_.reservation());
  }

  using Draft::NewFile;
  absl::StatusOr<StagedFile*> NewFile(int64_t expected_bytes) override {
    expected_bytes = std::max<int64_t>(expected_bytes, 0);
    RETURN_IF_ERROR(catalog_.quota().CheckOneMore());
    RETURN_IF_ERROR(room_.TakeForFiles(expected_bytes));
    ASSIGN_OR_RETURN(std::unique_ptr<StagedPack> pack, packs_.Stage());
    return files_
        .emplace_back(
            std::make_unique<DraftFile>(std::move(pack), room_, expected_bytes))
        .get();
  }

  absl::StatusOr<std::vector<AdoptedFile>> AdoptUpload(
      const UploadName& name) override {
    if (upload_ != nullptr) {
      return absl::FailedPreconditionError("a draft has one upload");
    }
    ASSIGN_OR_RETURN(upload_, uploads_.Take(name));
    RETURN_IF_ERROR(room_.TakeFor(*upload_));
    std::vector<AdoptedFile> adopted;
    std::vector<std::unique_ptr<StagedPack>> packs = upload_->OpenFiles();
    for (const UploadFile& file : upload_->files()) {
      auto& pack = packs[adopted.size()];
      expected_.push_back(packs_.Expect(pack->id()));
      files_.push_back(
          std::make_unique<DraftFile>(std::move(pack), room_, file.num_bytes));
      adopted.push_back({file.name, files_.back().get()});
    }
    return adopted;
  }

  absl::StatusOr<absl::Span<char>> NewScratch(int64_t num_bytes) override {
    if (scratch_ != nullptr) {
      return absl::FailedPreconditionError("a draft has one scratch space");
    }
    RETURN_IF_ERROR(catalog_.quota().CheckOneMore());
    RETURN_IF_ERROR(room_.TakeForScratch(num_bytes));
    if (num_bytes >= 0 && num_bytes <= kMaxSmallBytes) {
      scratch_ =
          files_.emplace_back(std::make_unique<DraftFile>(num_bytes)).get();
      return scratch_->memory();
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
    for (const auto& file : files_) file->StartSync();
  }

  absl::StatusOr<Checkpoint> Commit(const NewCheckpoint& checkpoint) override {
    if (std::exchange(is_spent_, true)) {
      return absl::FailedPreconditionError("a draft is committed once");
    }
    RETURN_IF_ERROR(AssignBlobs(checkpoint.manifest));

    const CheckpointName name = CheckpointName::Random();
    if (upload_ != nullptr) RETURN_IF_ERROR(upload_->BecomesCheckpoint(name));
    absl::StatusOr<Checkpoint> result = TryCommit(name, checkpoint);
    for (int attempt = 1; attempt <= kFrugalAttempts && !added_.empty() &&
                          (absl::IsAborted(result.status()) ||
                           absl::IsDataLoss(result.status()));
         ++attempt) {
      brings_all_ = attempt == kFrugalAttempts;
      result = TryCommit(name, checkpoint);
    }
    if (!result.ok()) WithdrawFiles();
    if (result.ok() && upload_ != nullptr) uploads_.Remove(std::move(upload_));
    return result;
  }

 private:
  struct Added {
    const StagedFile* file;
    PlacedBlob placed;
  };

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
    ASSIGN_OR_RETURN(NewBlobs blobs, PlaceFiles(copies));
    blobs.reservation = &room_.reservation();
    absl::Status published;
    absl::StatusOr<CommitResult> result =
        PublishAndCommit(name, checkpoint, blobs, copies, published);
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
    for (const PackId& id : result->emptied_packs) RemovePack(id);
    return std::move(result->checkpoint);
  }

  // Syncs the packs and writes the catalog's rows: at the same time where there
  // is little to sync, since both then take about as long, else one after the
  // other, since the catalog's writers queue. Either way the packs are durable
  // before the transaction is committed, or it is not committed.
  absl::StatusOr<CommitResult> PublishAndCommit(const CheckpointName& name,
                                                const NewCheckpoint& checkpoint,
                                                const NewBlobs& blobs,
                                                PackBuilder& copies,
                                                absl::Status& published) {
    if (blobs.packs.empty() || !IsLittle(blobs.packs)) {
      published = Publish(blobs.packs, copies);
      if (!published.ok()) return published;
      return catalog_.Commit(name, clock_.Now(), checkpoint, blobs);
    }
    // Deferred to the wait where there is no thread to be had.
    std::future<absl::Status> publishing =
        std::async(std::launch::async | std::launch::deferred,
                   [&] { return Publish(blobs.packs, copies); });
    absl::StatusOr<CommitResult> result = catalog_.Commit(
        name, clock_.Now(), checkpoint, blobs, [&]() -> absl::Status {
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

  // The blobs that a file is to bring: none that a file before it has.
  struct Wanted {
    DraftFile* file;
    std::vector<PlacedBlob> blobs;
  };

  // Decides for every file, and copies what is to be copied. Of the packs that
  // are to be published, that of `copies` comes last.
  absl::StatusOr<NewBlobs> PlaceFiles(PackBuilder& copies) {
    ASSIGN_OR_RETURN(const std::vector<Wanted> wanted, FindWantedBlobs());
    if (AreSmall(wanted)) return SmallBlobs(wanted);
    NewBlobs blobs;
    for (const auto& [file, new_blobs] : wanted) {
      const std::vector<Run> runs = MergeIntoRuns(new_blobs);
      if (IsPack(*file, runs)) {
        // With the blobs that are known as well: should those be deleted before
        // the commit, they are here.
        blobs.packs.push_back({file->pack()->id(),
                               static_cast<int64_t>(file->bytes.size()),
                               file->blobs});
        continue;
      }
      for (const Run& run : runs) {
        RETURN_IF_ERROR(copies.Append(file->bytes, run));
      }
    }
    if (!copies.empty()) blobs.packs.push_back(copies.pack());
    return blobs;
  }

  static bool IsPack(const DraftFile& file, const std::vector<Run>& new_runs) {
    if (file.pack() == nullptr) return false;
    const int64_t size = static_cast<int64_t>(file.bytes.size());
    return file.is_published ||
           (!new_runs.empty() && ShouldAdopt(size, new_runs));
  }

  // Whether the catalog takes all of it. Not where an attempt before this one
  // made packs already.
  static bool AreSmall(const std::vector<Wanted>& wanted) {
    int64_t num_bytes = 0;
    for (const Wanted& each : wanted) {
      if (each.file->is_published) return false;
      for (const PlacedBlob& placed : each.blobs) {
        // Cannot overflow: it stops soon after the bound.
        num_bytes += placed.blob.num_bytes;
        if (num_bytes > kMaxSmallBytes) return false;
      }
    }
    return true;
  }

  static NewBlobs SmallBlobs(const std::vector<Wanted>& wanted) {
    NewBlobs blobs;
    for (const auto& [file, new_blobs] : wanted) {
      for (const PlacedBlob& placed : new_blobs) {
        blobs.small.push_back(
            {placed.blob,
             file->bytes.substr(placed.offset, placed.blob.num_bytes)});
      }
    }
    return blobs;
  }

  absl::StatusOr<std::vector<Wanted>> FindWantedBlobs() {
    absl::flat_hash_set<Digest> left = DigestsOfFiles();
    if (!brings_all_) RETURN_IF_ERROR(RemoveKnown(left));
    std::vector<Wanted> wanted;
    for (const auto& file : files_) {
      Wanted& of_file = wanted.emplace_back(Wanted{.file = file.get()});
      for (const PlacedBlob& placed : file->blobs) {
        // Taken out, so that no other file brings it too.
        if (left.erase(placed.blob.digest) > 0) {
          of_file.blobs.push_back(placed);
        }
      }
    }
    return wanted;
  }

  absl::flat_hash_set<Digest> DigestsOfFiles() const {
    absl::flat_hash_set<Digest> digests;
    for (const auto& file : files_) {
      for (const PlacedBlob& placed : file->blobs) {
        digests.insert(placed.blob.digest);
      }
    }
    return digests;
  }

  // What the store holds, but not in quarantine.
  absl::Status RemoveKnown(absl::flat_hash_set<Digest>& blobs) {
    const std::vector<Digest> digests(blobs.begin(), blobs.end());
    ASSIGN_OR_RETURN(const auto locations, catalog_.FindBlobs(digests));
    for (size_t i = 0; i < digests.size(); ++i) {
      const std::optional<BlobLocation>& location = locations[i];
      if (location.has_value() && !location->damage_time.has_value()) {
        blobs.erase(digests[i]);
      }
    }
    return absl::OkStatus();
  }

  // Makes the bytes of all `packs` durable, then their names.
  absl::Status Publish(const std::vector<NewPack>& packs, PackBuilder& copies) {
    if (packs.empty()) return absl::OkStatus();
    absl::flat_hash_set<PackId> ids;
    for (const NewPack& pack : packs) ids.insert(pack.id);
    for (const auto& file : files_) {
      StagedPack* const pack = file->pack();
      if (pack == nullptr || file->is_published || !ids.contains(pack->id())) {
        continue;
      }
      RETURN_IF_ERROR(pack->Publish());
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
      if (file->is_published) RemovePack(file->pack()->id());
    }
  }

  // What cannot be removed now, the next start sweeps.
  void RemovePack(const PackId& id) { packs_.Remove(id).IgnoreError(); }

  PackStore& packs_;
  Catalog& catalog_;
  UploadStore& uploads_;
  Clock& clock_;
  DraftRoom room_;
  std::unique_ptr<TakenUpload> upload_;  // null where none was adopted
  std::vector<std::unique_ptr<PackLease>> expected_;  // the files of upload_
  std::vector<std::unique_ptr<DraftFile>> files_;
  DraftFile* scratch_ = nullptr;  // one of files_
  std::vector<Added> added_;
  bool is_spent_ = false;
  bool brings_all_ = false;
  bool is_outcome_known_ = true;
};

}  // namespace

std::unique_ptr<Draft> NewComposedDraft(PackStore& packs, Catalog& catalog,
                                        UploadStore& uploads, Clock& clock) {
  return std::make_unique<ComposedDraft>(packs, catalog, uploads, clock);
}

}  // namespace warmstart::store
