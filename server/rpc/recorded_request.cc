#include "server/rpc/recorded_request.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/rpc/request_translation.h"

namespace warmstart::rpc {
namespace {

// Drops what the checkpoint, its origin, its labels and its aliases tell.
void DropKnown(v1::WarmStartRequest* request) {
  request->clear_architecture();
  request->clear_seed();
  request->clear_device();
  request->clear_labels();
  request->clear_alias();
  request->clear_request_id();
  request->clear_validate_only();
  for (v1::Source& source : *request->mutable_sources()) {
    source.clear_checkpoint();
  }
  const bool sources_say_more = std::any_of(
      request->sources().begin(), request->sources().end(),
      [](const v1::Source& source) { return source.ByteSizeLong() > 0; });
  if (!sources_say_more) request->clear_sources();
}

}  // namespace

std::optional<std::string> RecordedText(const v1::WarmStartRequest& request) {
  // As JSON it is larger still, unless it has little to say; so that what could
  // not be kept is not copied.
  if (request.ByteSizeLong() > 2 * service::kMaxRecordedRequest) {
    return std::nullopt;
  }
  v1::WarmStartRequest rest = request;
  DropKnown(&rest);
  if (rest.ByteSizeLong() == 0) return "";
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(rest, &text).ok()) {
    return std::nullopt;
  }
  return text;
}

absl::StatusOr<service::WarmStartRequest> ReadRecorded(absl::string_view text) {
  v1::WarmStartRequest request;
  if (!text.empty()) {
    const auto status = google::protobuf::util::JsonStringToMessage(
        google::protobuf::StringPiece(text.data(), text.size()), &request);
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "this server cannot read its recorded request: ",
          absl::string_view(status.message().data(), status.message().size())));
    }
  }
  return FromProto(request);
}

}  // namespace warmstart::rpc
