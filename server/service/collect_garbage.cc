#include "server/service/collect_garbage.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/service/disk_status.h"

namespace warmstart::service {
namespace {

absl::Status CheckShare(absl::string_view field, double share) {
  // So written that NaN is refused, too.
  if (share >= 0 && share <= 1) return absl::OkStatus();
  return InvalidField(field, "must be from 0 to 1");
}

absl::Status CheckBytes(absl::string_view field, int64_t bytes) {
  if (bytes >= 0) return absl::OkStatus();
  return InvalidField(field, "must not be negative");
}

}  // namespace

absl::StatusOr<store::Collection> CollectGarbage(
    const Context& context, const CollectGarbageRequest& request,
    std::function<bool()> is_cancelled) {
  store::CollectOptions options;
  options.dry_run = request.dry_run;
  options.is_cancelled = std::move(is_cancelled);
  options.min_live_share =
      request.min_live_share.value_or(options.min_live_share);
  options.merge_below_bytes =
      request.merge_below_bytes.value_or(options.merge_below_bytes);
  options.max_written_bytes =
      request.max_written_bytes.value_or(options.max_written_bytes);
  RETURN_IF_ERROR(CheckShare("min_live_share", options.min_live_share));
  RETURN_IF_ERROR(CheckBytes("merge_below_bytes", options.merge_below_bytes));
  RETURN_IF_ERROR(CheckBytes("max_written_bytes", options.max_written_bytes));
  return DiskStatus(context.store->CollectGarbage(options));
}

}  // namespace warmstart::service
