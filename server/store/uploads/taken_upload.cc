#include "server/store/uploads/taken_upload.h"

#include "server/store/uploads/upload_journal.h"
#include "server/store/uploads/uploaded_pack.h"

namespace warmstart::store {

std::vector<std::unique_ptr<StagedPack>> TakenUpload::OpenFiles() const {
  std::vector<std::unique_ptr<StagedPack>> packs;
  for (const UploadFile& file : files()) {
    packs.push_back(NewUploadedPack(
        lease_->file_system(), lease_->paths(),
        BytesFile(name(), static_cast<int>(packs.size())), file.num_bytes));
  }
  return packs;
}

void TakenUpload::GiveRoomTo(Quota::Reservation& draft) {
  draft.TakeFrom(lease_->room(), NumBytes(files()));
}

void TakenUpload::TakeRoomFrom(Quota::Reservation& draft) {
  lease_->room().TakeFrom(draft, NumBytes(files()));
}

absl::Status TakenUpload::BecomesCheckpoint(const CheckpointName& checkpoint) {
  return lease_->AddLine(TakenLine(checkpoint));
}

}  // namespace warmstart::store
