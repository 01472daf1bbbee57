#include "server/store/read_verifier.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace warmstart::store {

absl::Status ReadVerifier::Check(const BlobLocation& location,
                                 absl::string_view bytes) {
  if (mode_ == VerifyReads::kNever || IsKnown(location)) {
    return absl::OkStatus();
  }
  // Not under the lock: it takes as long as there are bytes.
  if (Digest::Of(bytes) != location.blob.digest) {
    const std::string place = location.pack.empty()
                                  ? "in the catalog"
                                  : absl::StrCat("at offset ", location.offset,
                                                 " of pack ", location.pack);
    return absl::DataLossError(absl::StrCat(
        "the ", bytes.size(), " bytes ", place,
        " are damaged: their digest is not ", location.blob.digest.ToHex()));
  }
  if (!location.pack.empty()) Remember(location);
  return absl::OkStatus();
}

void ReadVerifier::Forget(const PackId& pack) {
  absl::MutexLock lock(&mutex_);
  const auto found = intact_.find(pack);
  if (found == intact_.end()) return;
  num_intact_ -= found->second.size();
  intact_.erase(found);
}

bool ReadVerifier::IsKnown(const BlobLocation& location) {
  absl::MutexLock lock(&mutex_);
  const auto found = intact_.find(location.pack);
  return found != intact_.end() &&
         found->second.contains({location.offset, location.blob.num_bytes});
}

void ReadVerifier::Remember(const BlobLocation& location) {
  absl::MutexLock lock(&mutex_);
  if (num_intact_ >= capacity_) {
    intact_.clear();
    num_intact_ = 0;
  }
  const bool is_new = intact_[location.pack]
                          .insert({location.offset, location.blob.num_bytes})
                          .second;
  if (is_new) ++num_intact_;
}

}  // namespace warmstart::store
