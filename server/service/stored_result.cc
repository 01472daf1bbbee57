#include "server/service/stored_result.h"

#include <utility>

#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/service/origin.h"

namespace warmstart::service {

absl::StatusOr<std::optional<store::Checkpoint>> FindEarlier(
    store::Store& store, const std::string& request_id,
    const Digest& fingerprint) {
  if (request_id.empty()) return std::nullopt;
  ASSIGN_OR_RETURN(const std::optional<CheckpointName> name,
                   store.FindRequest(request_id, fingerprint));
  if (!name.has_value()) return std::nullopt;
  absl::StatusOr<store::Checkpoint> checkpoint = store.GetCheckpoint(*name);
  // Deleted between the two calls: then its request is forgotten as well.
  if (absl::IsNotFound(checkpoint.status())) return std::nullopt;
  if (!checkpoint.ok()) return checkpoint.status();
  return *std::move(checkpoint);
}

absl::StatusOr<SaveModelResult> StoredSaveResult(store::Checkpoint checkpoint) {
  SaveModelResult result;
  if (!checkpoint.report_json.empty()) {
    ASSIGN_OR_RETURN(result.report,
                     MatchReportFromJson(checkpoint.report_json));
  }
  ASSIGN_OR_RETURN(const Origin origin, OriginFromJson(checkpoint.origin_json));
  if (const auto* upload = std::get_if<UploadOrigin>(&origin)) {
    result.skipped = upload->skipped;
  }
  result.checkpoint = std::move(checkpoint);
  return result;
}

}  // namespace warmstart::service
