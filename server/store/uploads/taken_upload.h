// TakenUpload: a complete upload in the hands of a draft.

#ifndef WARMSTART_SERVER_STORE_UPLOADS_TAKEN_UPLOAD_H_
#define WARMSTART_SERVER_STORE_UPLOADS_TAKEN_UPLOAD_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/model/resource_name.h"
#include "server/store/pack_store.h"
#include "server/store/policy/quota.h"
#include "server/store/uploads/upload.h"
#include "server/store/uploads/upload_record.h"

namespace warmstart::store {

// Dropping it leaves the upload as it was. Not thread-safe.
class TakenUpload {
 public:
  explicit TakenUpload(UploadLease lease) : lease_(std::move(lease)) {}

  const UploadName& name() const { return lease_->name(); }
  std::vector<UploadFile> files() const {
    return lease_->Snapshot(absl::ZeroDuration()).files;
  }
  // Gives its room to `draft`, and takes it back, as much as is left of it.
  void GiveRoomTo(Quota::Reservation& draft);
  void TakeRoomFrom(Quota::Reservation& draft);

  // Each file as a pack that is staged, in order.
  std::vector<std::unique_ptr<StagedPack>> OpenFiles() const;

  // To be called before the commit of `checkpoint`: should the process end
  // between that commit and UploadStore::Remove, the next start knows by the
  // checkpoint that the upload has become it.
  absl::Status BecomesCheckpoint(const CheckpointName& checkpoint);

 private:
  friend class UploadStore;

  const UploadLease lease_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_UPLOADS_TAKEN_UPLOAD_H_
