#include "server/store/local/local_pack_store.h"

#include <algorithm>
#include <future>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "server/base/status_macros.h"
#include "server/store/local/deferred_removals.h"
#include "server/store/local/mapping_cache.h"
#include "server/store/random_id.h"

namespace warmstart::store {
namespace {

// Far below the kernel's limit of 65530 mappings for a process.
constexpr size_t kMaxMappings = 1024;

// How much of a pack is read at a time where it is scanned.
constexpr int64_t kScanBytes = int64_t{1} << 20;

absl::Status CheckRange(const PackId& id, int64_t size, int64_t offset,
                        int64_t num_bytes) {
  if (offset >= 0 && num_bytes >= 0 && offset <= size &&
      num_bytes <= size - offset) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat("pack ", id, " has ", size,
                                          " bytes; ", num_bytes,
                                          " were expected at offset ", offset));
}

absl::Status LostIfNotFound(const PackId& id, absl::Status status) {
  if (!absl::IsNotFound(status)) return status;
  return absl::DataLossError(
      absl::StrCat("pack ", id, " is gone: ", status.message()));
}

// The packs whose StagedPacks live. Thread-safe.
class UnsettledPacks {
 public:
  void Add(const PackId& id) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    ids_.insert(id);
  }
  void Remove(const PackId& id) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    ids_.erase(id);
  }
  absl::flat_hash_set<PackId> All() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return ids_;
  }

 private:
  absl::Mutex mutex_;
  absl::flat_hash_set<PackId> ids_ ABSL_GUARDED_BY(mutex_);
};

class LocalPackLease final : public PackLease {
 public:
  LocalPackLease(UnsettledPacks& unsettled, PackId id)
      : unsettled_(unsettled), id_(std::move(id)) {
    unsettled_.Add(id_);
  }
  ~LocalPackLease() override { unsettled_.Remove(id_); }
  LocalPackLease(const LocalPackLease&) = delete;
  LocalPackLease& operator=(const LocalPackLease&) = delete;

 private:
  UnsettledPacks& unsettled_;
  const PackId id_;
};

class LocalPackScanner final : public PackScanner {
 public:
  LocalPackScanner(PackId id, std::unique_ptr<ReadableFile> file)
      : id_(std::move(id)), file_(std::move(file)), buffer_(kScanBytes) {}

  absl::Status Scan(
      int64_t offset, int64_t num_bytes,
      absl::FunctionRef<absl::Status(absl::string_view)> take) override {
    ASSIGN_OR_RETURN(const int64_t size, file_->Size());
    RETURN_IF_ERROR(CheckRange(id_, size, offset, num_bytes));
    while (num_bytes > 0) {
      const absl::Span<char> into =
          absl::MakeSpan(buffer_).subspan(0, std::min(num_bytes, kScanBytes));
      ASSIGN_OR_RETURN(const size_t read, file_->Read(offset, into));
      if (read < into.size()) {
        return absl::DataLossError(
            absl::StrCat("pack ", id_, " was cut short while it was read"));
      }
      RETURN_IF_ERROR(take(absl::string_view(into.data(), into.size())));
      offset += static_cast<int64_t>(read);
      num_bytes -= static_cast<int64_t>(read);
    }
    return absl::OkStatus();
  }

 private:
  const PackId id_;
  const std::unique_ptr<ReadableFile> file_;
  std::vector<char> buffer_;
};

class LocalStagedPack final : public StagedPack {
 public:
  LocalStagedPack(const StorePaths& paths, FileSystem& file_system,
                  UnsettledPacks& unsettled, PackId id,
                  std::unique_ptr<WritableFile> file)
      : paths_(paths),
        file_system_(file_system),
        unsettled_(unsettled),
        id_(std::move(id)),
        file_(std::move(file)) {
    unsettled_.Add(id_);
  }

  ~LocalStagedPack() override {
    if (background_sync_.has_value()) background_sync_->wait();
    // What cannot be removed now, the next start sweeps.
    if (!published_) file_system_.Remove(paths_.Staged(id_)).IgnoreError();
    unsettled_.Remove(id_);
  }

  const PackId& id() const override { return id_; }

  std::string path() const override { return paths_.Staged(id_); }

  absl::Status Append(absl::string_view data) override {
    if (mapped_ != nullptr) {
      return absl::FailedPreconditionError("the file was finished already");
    }
    return file_->Append(data);
  }

  absl::StatusOr<absl::Span<char>> MapForWriting(int64_t num_bytes) override {
    return file_->MapForWriting(num_bytes);
  }

  absl::StatusOr<absl::string_view> Finish() override {
    if (mapped_ == nullptr) {
      ASSIGN_OR_RETURN(mapped_, file_system_.Map(paths_.Staged(id_)));
    }
    return mapped_->bytes();
  }

  void StartSync() override {
    if (mapped_ == nullptr || background_sync_.has_value()) return;
    try {
      background_sync_ =
          std::async(std::launch::async, [this] { return file_->Sync(); });
    } catch (const std::system_error&) {
      background_sync_.reset();  // no thread to be had; Publish syncs
    }
  }

  absl::Status Publish() override {
    RETURN_IF_ERROR(background_sync_.has_value() ? JoinBackgroundSync()
                                                 : file_->Sync());
    RETURN_IF_ERROR(file_system_.Rename(paths_.Staged(id_), paths_.Pack(id_)));
    published_ = true;
    return absl::OkStatus();
  }

 private:
  absl::Status JoinBackgroundSync() {
    absl::Status status = background_sync_->get();
    background_sync_.reset();
    return status;
  }

  const StorePaths& paths_;
  FileSystem& file_system_;
  UnsettledPacks& unsettled_;
  const PackId id_;
  const std::unique_ptr<WritableFile> file_;
  std::shared_ptr<MappedFile> mapped_;  // set by Finish
  std::optional<std::future<absl::Status>> background_sync_;
  bool published_ = false;
};

class LocalPackStore final : public PackStore {
 public:
  LocalPackStore(const StorePaths& paths, FileSystem& file_system)
      : paths_(paths),
        file_system_(file_system),
        mappings_(file_system, kMaxMappings) {}

  absl::StatusOr<std::unique_ptr<StagedPack>> Stage() override {
    PackId id = RandomId();
    ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file,
                     file_system_.Create(paths_.Staged(id)));
    return std::make_unique<LocalStagedPack>(paths_, file_system_, unsettled_,
                                             std::move(id), std::move(file));
  }

  absl::Status Flush() override {
    return file_system_.SyncDirectory(paths_.PacksDir());
  }

  absl::StatusOr<BlobData> Read(const PackId& id, int64_t offset,
                                int64_t num_bytes) override {
    // A mapping may outlive its file, or be longer than what somebody left of
    // it, and then reading is a SIGBUS. So the size is asked each time; it
    // costs a microsecond.
    const std::string path = paths_.Pack(id);
    ASSIGN_OR_RETURN(const int64_t size, SizeOf(id));
    RETURN_IF_ERROR(CheckRange(id, size, offset, num_bytes));
    absl::StatusOr<std::shared_ptr<MappedFile>> file = mappings_.Get(path);
    if (!file.ok()) return LostIfNotFound(id, file.status());
    const absl::string_view bytes = (*file)->bytes();
    RETURN_IF_ERROR(
        CheckRange(id, static_cast<int64_t>(bytes.size()), offset, num_bytes));
    return BlobData{bytes.substr(offset, num_bytes), *std::move(file)};
  }

  absl::StatusOr<std::unique_ptr<PackScanner>> OpenForScan(
      const PackId& id) override {
    absl::StatusOr<std::unique_ptr<ReadableFile>> file =
        file_system_.OpenForReading(paths_.Pack(id));
    if (!file.ok()) return LostIfNotFound(id, file.status());
    return std::make_unique<LocalPackScanner>(id, *std::move(file));
  }

  absl::StatusOr<int64_t> SizeOf(const PackId& id) override {
    absl::StatusOr<int64_t> size = file_system_.Size(paths_.Pack(id));
    if (!size.ok()) return LostIfNotFound(id, size.status());
    return size;
  }

  absl::Status Remove(const PackId& id) override {
    return removals_.Remove(id);
  }

  std::unique_ptr<PackHold> Hold() override { return removals_.Hold(); }

  std::unique_ptr<PackLease> Expect(const PackId& id) override {
    return std::make_unique<LocalPackLease>(unsettled_, id);
  }

  absl::StatusOr<std::vector<PackFile>> ListSettled() override {
    ASSIGN_OR_RETURN(const std::vector<std::string> names,
                     file_system_.List(paths_.PacksDir()));
    // After the names: what is not on its way now, and is among them, has
    // arrived or failed. What is held, but was removed, is on its way out.
    absl::flat_hash_set<PackId> unsettled = unsettled_.All();
    for (PackId& id : removals_.Waiting()) unsettled.insert(std::move(id));
    std::vector<PackFile> files;
    for (const std::string& name : names) {
      if (unsettled.contains(name) || !IsRandomId(name)) continue;
      const absl::StatusOr<int64_t> size = file_system_.Size(paths_.Pack(name));
      if (absl::IsNotFound(size.status())) continue;  // removed meanwhile
      RETURN_IF_ERROR(size.status());
      files.push_back({name, *size});
    }
    return files;
  }

  absl::Status Sweep(const absl::flat_hash_set<PackId>& known) override {
    ASSIGN_OR_RETURN(const std::vector<std::string> staged,
                     file_system_.List(paths_.StagingDir()));
    for (const std::string& name : staged) {
      RETURN_IF_ERROR(file_system_.Remove(paths_.Staged(name)));
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> packs,
                     file_system_.List(paths_.PacksDir()));
    for (const std::string& name : packs) {
      // What has no name of ours, somebody else put there; it is theirs.
      if (known.contains(name) || !IsRandomId(name)) continue;
      RETURN_IF_ERROR(Remove(name));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status RemoveNow(const PackId& id) {
    const std::string path = paths_.Pack(id);
    absl::Status status = file_system_.Remove(path);
    mappings_.Forget(path);
    return status;
  }

  const StorePaths paths_;
  FileSystem& file_system_;
  UnsettledPacks unsettled_;
  MappingCache mappings_;
  DeferredRemovals removals_{
      [this](const PackId& id) { return RemoveNow(id); }};
};

}  // namespace

absl::StatusOr<std::unique_ptr<PackStore>> OpenLocalPackStore(
    const StorePaths& paths, FileSystem& file_system) {
  RETURN_IF_ERROR(file_system.CreateDirectory(paths.PacksDir()));
  RETURN_IF_ERROR(file_system.CreateDirectory(paths.StagingDir()));
  return std::make_unique<LocalPackStore>(paths, file_system);
}

}  // namespace warmstart::store
