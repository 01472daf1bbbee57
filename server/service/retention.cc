#include "server/service/retention.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"

namespace warmstart::service {
namespace {

// A deletion takes some milliseconds, so that these are soon done.
constexpr int kSome = 20;

std::string WhyRetired(const store::RetiredCheckpoint& retired) {
  if (retired.expire_time.has_value()) {
    return absl::StrCat("expired at ", absl::FormatTime(*retired.expire_time,
                                                        absl::UTCTimeZone()));
  }
  return absl::StrCat("newer ones are kept by ", retired.rule);
}

absl::StatusOr<std::optional<store::RetiredCheckpoint>> Delete(
    const Context& context, const CheckpointName& name,
    const store::RetentionPolicy& policy) {
  ASSIGN_OR_RETURN(std::optional<store::RetiredCheckpoint> deleted,
                   context.store->DeleteRetired(name, policy));
  if (!deleted.has_value()) return std::nullopt;
  context.resident_models->DropCheckpoint(name);
  if (context.log) {
    context.log(
        absl::StrCat("deleted ", name.ToString(), ": ", WhyRetired(*deleted)));
  }
  return deleted;
}

}  // namespace

absl::StatusOr<RetentionResult> ApplyRetention(
    const Context& context, const RetentionRequest& request) {
  const store::RetentionPolicy policy = {
      .now = context.clock->Now(),
      .rules = {context.retention_rules.begin(),
                context.retention_rules.end()}};
  ASSIGN_OR_RETURN(std::vector<store::RetiredCheckpoint> found,
                   context.store->FindRetired(policy, request.max_count + 1));
  RetentionResult result;
  result.has_more = found.size() > static_cast<size_t>(request.max_count);
  if (result.has_more) found.pop_back();
  if (request.validate_only) {
    result.checkpoints = std::move(found);
    return result;
  }
  for (const store::RetiredCheckpoint& retired : found) {
    ASSIGN_OR_RETURN(std::optional<store::RetiredCheckpoint> deleted,
                     Delete(context, retired.name, policy));
    if (deleted.has_value()) {
      result.checkpoints.push_back(*std::move(deleted));
    }
  }
  return result;
}

absl::StatusOr<bool> ApplyRetentionToSome(const Context& context) {
  ASSIGN_OR_RETURN(const RetentionResult result,
                   ApplyRetention(context, {.max_count = kSome}));
  return result.has_more;
}

}  // namespace warmstart::service
