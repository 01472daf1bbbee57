// UploadStore: uploads that are under way. They outlive connections and the
// process; a draft takes them when they are complete, or they expire.
//
//   data_dir/uploads/
//     {id}.journal  what was announced, and how far it came (upload_journal.h)
//     {id}.{n}      the bytes of its n-th file, from 0; not there without any
//
// The order of a commit: the bytes are synced, then their names, then a line of
// the journal. What the journal does not tell of does not count, and is cut off
// when the file is gone on with.

#ifndef WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_STORE_H_
#define WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_STORE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/file_system.h"
#include "server/model/resource_name.h"
#include "server/store/local/paths.h"
#include "server/store/policy/quota.h"
#include "server/store/uploads/taken_upload.h"
#include "server/store/uploads/upload.h"
#include "server/store/uploads/upload_record.h"
#include "server/store/uploads/upload_writer.h"

namespace warmstart::store {

// Thread-safe. Outlives its writers and what was taken.
class UploadStore {
 public:
  static constexpr size_t kMaxUploads = 1024;

  // Makes the folder where it is missing. An upload expires `ttl` after the
  // last of its bytes. `quota`, which has room for each as long as it is there,
  // `file_system` and `clock` outlive the store.
  static absl::StatusOr<std::unique_ptr<UploadStore>> Open(
      const StorePaths& paths, FileSystem& file_system, Quota& quota,
      Clock& clock, absl::Duration ttl);

  // Finds what the process before left, and removes what has become a
  // checkpoint, has expired, or is no upload. `exists` says whether a
  // checkpoint does. Before the store is used.
  absl::Status Recover(
      absl::FunctionRef<absl::StatusOr<bool>(const CheckpointName&)> exists);

  // Begins an upload of files whose names and sizes these are.
  // RESOURCE_EXHAUSTED where there are too many, the quota has no room for all
  // of their bytes or for a checkpoint, or the disk is full.
  absl::StatusOr<Upload> Create(std::vector<UploadFile> files);
  // NOT_FOUND where there is none, or it has expired; so for all below.
  absl::StatusOr<Upload> Get(const UploadName& name);
  // With the digests of its files, which are read for it. ABORTED as Write.
  absl::StatusOr<Upload> GetWithDigests(const UploadName& name);
  // INVALID_ARGUMENT for a page token that this store did not give.
  absl::StatusOr<UploadPage> List(int page_size, const std::string& page_token);
  // ABORTED while somebody else writes or takes it; so for both below.
  absl::StatusOr<std::unique_ptr<UploadWriter>> Write(const UploadName& name);
  absl::Status Delete(const UploadName& name);

  // FAILED_PRECONDITION, with what is missing, where it is not complete.
  absl::StatusOr<std::unique_ptr<TakenUpload>> Take(const UploadName& name);
  // What has become a checkpoint.
  void Remove(std::unique_ptr<TakenUpload> taken);

  // Every method does this first; it is a chore of the server's, too.
  void SweepExpired() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Record = std::shared_ptr<UploadRecord>;

  UploadStore(const StorePaths& paths, FileSystem& file_system, Quota& quota,
              Clock& clock, absl::Duration ttl);

  absl::StatusOr<UploadLease> Lease(const UploadName& name)
      ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsFull() const ABSL_LOCKS_EXCLUDED(mutex_);
  bool Insert(const Record& record) ABSL_LOCKS_EXCLUDED(mutex_);
  void Forget(const UploadName& name) ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasExpired(const UploadRecord& record) const;
  absl::Status Restore(
      const UploadName& name,
      absl::FunctionRef<absl::StatusOr<bool>(const CheckpointName&)> exists);
  bool IsOfNoUpload(const std::string& file) const ABSL_LOCKS_EXCLUDED(mutex_);

  const StorePaths paths_;
  FileSystem& file_system_;
  Quota& quota_;
  Clock& clock_;
  const absl::Duration ttl_;
  mutable absl::Mutex mutex_;
  std::map<UploadName, Record> records_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_STORE_H_
