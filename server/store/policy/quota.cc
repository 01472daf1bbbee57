#include "server/store/policy/quota.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace warmstart::store {
namespace {

absl::Status Exceeded(absl::string_view flag, int64_t limit, int64_t usage,
                      int64_t needed, const std::string& message) {
  return WithErrorInfo(absl::ResourceExhaustedError(message),
                       reason::kQuotaExceeded,
                       {{"flag", std::string(flag)},
                        {"limit", absl::StrCat(limit)},
                        {"usage", absl::StrCat(usage)},
                        {"needed", absl::StrCat(needed)}});
}

}  // namespace

Quota::Reservation::~Reservation() { quota_.Apply({}, this); }

absl::Status Quota::Reservation::Grow(int64_t num_bytes) {
  absl::MutexLock lock(&quota_.mutex_);
  RETURN_IF_ERROR(quota_.CheckBytes(num_bytes, quota_.usage_.receiving_bytes));
  Add(num_bytes);
  return absl::OkStatus();
}

void Quota::Reservation::Insist(int64_t num_bytes) {
  absl::MutexLock lock(&quota_.mutex_);
  Add(num_bytes);
}

void Quota::Reservation::Add(int64_t num_bytes) {
  StoreUsage& usage = quota_.usage_;
  // Without a limit, clients may announce what no number holds.
  const int64_t room =
      std::numeric_limits<int64_t>::max() - usage.receiving_bytes;
  num_bytes = std::clamp<int64_t>(num_bytes, 0, room);
  num_bytes_ += num_bytes;
  usage.receiving_bytes += num_bytes;
}

void Quota::Reservation::TakeFrom(Reservation& other, int64_t num_bytes) {
  absl::MutexLock lock(&quota_.mutex_);
  num_bytes = std::clamp<int64_t>(num_bytes, 0, other.num_bytes_);
  other.num_bytes_ -= num_bytes;
  num_bytes_ += num_bytes;
}

StoreUsage Quota::usage() const {
  absl::MutexLock lock(&mutex_);
  return usage_;
}

absl::Status Quota::CheckUpload(int64_t num_bytes) const {
  const int64_t limit = limits_.max_upload_bytes;
  if (limit == 0 || num_bytes <= limit) return absl::OkStatus();
  return Exceeded(
      "--max-upload-bytes", limit, 0, num_bytes,
      absl::StrCat("the files of one save may have ", limit,
                   " bytes (--max-upload-bytes), but these have ", num_bytes,
                   " or more; save them as several checkpoints, "
                   "or ask for a higher limit"));
}

absl::Status Quota::CheckOneMore() const {
  absl::MutexLock lock(&mutex_);
  return CheckCheckpoints(1);
}

absl::Status Quota::CheckChange(const UsageChange& change,
                                const Reservation* own) const {
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckCheckpoints(change.num_checkpoints));
  const int64_t reserved = own == nullptr ? 0 : own->num_bytes_;
  return CheckBytes(change.stored_bytes, usage_.receiving_bytes - reserved);
}

void Quota::Apply(const UsageChange& change, Reservation* own) {
  absl::MutexLock lock(&mutex_);
  usage_.stored_bytes += change.stored_bytes;
  usage_.num_checkpoints += change.num_checkpoints;
  if (own == nullptr) return;
  usage_.receiving_bytes -= std::exchange(own->num_bytes_, 0);
}

absl::Status Quota::CheckCheckpoints(int64_t num_more) const {
  const int64_t limit = limits_.max_checkpoints;
  const int64_t usage = usage_.num_checkpoints;
  if (limit == 0 || num_more <= 0 || num_more <= limit - usage) {
    return absl::OkStatus();
  }
  return Exceeded(
      "--max-checkpoints", limit, usage, num_more,
      absl::StrCat("the server may hold ", limit,
                   " checkpoints (--max-checkpoints), and holds ", usage,
                   "; delete some, let them expire, or ask for a higher "
                   "limit"));
}

absl::Status Quota::CheckBytes(int64_t num_more, int64_t receiving) const {
  const int64_t limit = limits_.max_bytes;
  if (limit == 0 || num_more <= 0) return absl::OkStatus();
  const int64_t usage = usage_.stored_bytes + receiving;
  if (num_more <= limit - usage) return absl::OkStatus();
  return Exceeded(
      "--max-store-bytes", limit, usage, num_more,
      absl::StrCat("the server may hold ", limit,
                   " bytes (--max-store-bytes); it holds ", usage_.stored_bytes,
                   " and is receiving ", receiving, ", and this needs ",
                   num_more,
                   " more; delete checkpoints, let them expire, or ask for a "
                   "higher limit"));
}

}  // namespace warmstart::store
