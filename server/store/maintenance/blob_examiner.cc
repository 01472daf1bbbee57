#include "server/store/maintenance/blob_examiner.h"

#include <string>

#include "absl/strings/string_view.h"
#include "server/base/status_macros.h"
#include "server/model/digest.h"

namespace warmstart::store {
namespace {

absl::Status CheckDigest(const Digest& found, const Digest& expected) {
  if (found == expected) return absl::OkStatus();
  return absl::DataLossError("the bytes have another digest");
}

}  // namespace

absl::Status BlobExaminer::Examine(
    const BlobLocation& location,
    absl::FunctionRef<absl::Status(int64_t)> progress) {
  const absl::Status first = Look(location, progress);
  if (first.ok() || absl::IsNotFound(first)) return first;
  CloseFile();
  RETURN_IF_ERROR(progress(0));
  return Look(location, progress);
}

absl::Status BlobExaminer::Look(
    const BlobLocation& location,
    absl::FunctionRef<absl::Status(int64_t)> progress) {
  return location.pack.empty() ? LookAtCatalog(location.blob.digest)
                               : LookAtPack(location, progress);
}

absl::Status BlobExaminer::LookAtPack(
    const BlobLocation& location,
    absl::FunctionRef<absl::Status(int64_t)> progress) {
  if (scanner_ == nullptr || open_pack_ != location.pack) {
    CloseFile();
    ASSIGN_OR_RETURN(scanner_, packs_.OpenForScan(location.pack));
    open_pack_ = location.pack;
  }
  Hasher hasher;
  int64_t num_read = 0;
  RETURN_IF_ERROR(scanner_->Scan(
      location.offset, location.blob.num_bytes, [&](absl::string_view bytes) {
        hasher.Update(bytes);
        num_read += static_cast<int64_t>(bytes.size());
        return progress(num_read);
      }));
  return CheckDigest(hasher.Finish(), location.blob.digest);
}

absl::Status BlobExaminer::LookAtCatalog(const Digest& digest) {
  ASSIGN_OR_RETURN(const std::string bytes, catalog_.ReadBlob(digest));
  return CheckDigest(Digest::Of(bytes), digest);
}

void BlobExaminer::CloseFile() {
  scanner_.reset();
  open_pack_.clear();
}

}  // namespace warmstart::store
