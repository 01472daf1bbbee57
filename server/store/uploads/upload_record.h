// UploadRecord: what is known of one upload, in memory and in its journal on
// the disk. UploadLease: the right to change it.

#ifndef WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_RECORD_H_
#define WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_RECORD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/base/file_system.h"
#include "server/store/local/paths.h"
#include "server/store/policy/quota.h"
#include "server/store/uploads/upload.h"
#include "server/store/uploads/upload_journal.h"

namespace warmstart::store {

// Names in uploads/: the journal's, and that of the `file`-th file's bytes.
std::string JournalFile(const UploadName& name);
std::string BytesFile(const UploadName& name, int file);

// Thread-safe but for what changes the upload, which only the holder of its
// lease calls.
class UploadRecord {
 public:
  // Writes a new journal; durable when this returns. Where `quota` has no room
  // for all bytes of the files, RESOURCE_EXHAUSTED; else they have it until the
  // record goes.
  static absl::StatusOr<std::shared_ptr<UploadRecord>> Create(
      FileSystem& file_system, const StorePaths& paths, Quota& quota,
      std::vector<UploadFile> files, absl::Time now);
  // Of a journal that is there, whose history goes to `history`. DATA_LOSS
  // where it cannot be read, or the bytes that it tells of are not there. It
  // gets its room whatever the limit.
  static absl::StatusOr<std::shared_ptr<UploadRecord>> Load(
      FileSystem& file_system, const StorePaths& paths, Quota& quota,
      const UploadName& name, UploadHistory* history);

  UploadRecord(FileSystem& file_system, const StorePaths& paths, Quota& quota,
               const UploadName& name, const UploadHistory& history);

  const UploadName& name() const { return name_; }
  FileSystem& file_system() const { return file_system_; }
  const StorePaths& paths() const { return paths_; }
  // The lease's holder's.
  Quota::Reservation& room() { return room_; }

  // As it is now, where uploads live for `ttl` after what was written last.
  Upload Snapshot(absl::Duration ttl) const ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Time ExpireTime(absl::Duration ttl) const ABSL_LOCKS_EXCLUDED(mutex_);
  int64_t CommittedBytesOf(int file) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Adds a line to the journal; durable when this returns OK. After an error
  // the line is not there, or, where the disk failed, may be after a restart.
  absl::Status AddLine(absl::string_view line);
  // Records that these bytes, which have been synced, count.
  absl::Status Commit(absl::Span<const CommittedBytes> committed,
                      absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);
  // Removes the journal and the bytes. What cannot be removed, the next start
  // sweeps.
  void RemoveFiles();

 private:
  friend class UploadLease;

  // Whether nobody had it.
  bool BeginLease() ABSL_LOCKS_EXCLUDED(mutex_);
  void EndLease() ABSL_LOCKS_EXCLUDED(mutex_);
  std::string JournalPath() const { return paths_.Upload(JournalFile(name_)); }

  FileSystem& file_system_;
  const StorePaths paths_;
  const UploadName name_;
  Quota::Reservation room_;
  int64_t journal_bytes_;  // the lease's holder's
  mutable absl::Mutex mutex_;
  Upload upload_ ABSL_GUARDED_BY(mutex_);  // its expire_time is not set
  absl::Time write_time_ ABSL_GUARDED_BY(mutex_);
  bool is_leased_ ABSL_GUARDED_BY(mutex_) = false;
};

// While it lives, nobody else changes the upload. One for an upload at a time.
class UploadLease {
 public:
  // Null where somebody has it.
  static std::optional<UploadLease> Take(
      const std::shared_ptr<UploadRecord>& record);
  ~UploadLease();
  UploadLease(UploadLease&&) = default;
  UploadLease& operator=(UploadLease&&) = delete;

  UploadRecord* operator->() const { return record_.get(); }

 private:
  explicit UploadLease(std::shared_ptr<UploadRecord> record)
      : record_(std::move(record)) {}

  std::shared_ptr<UploadRecord> record_;  // null after a move
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_RECORD_H_
