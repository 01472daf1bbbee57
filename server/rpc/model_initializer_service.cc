#include "server/rpc/model_initializer_service.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/rpc/call_runner.h"
#include "server/rpc/chunk_size.h"
#include "server/rpc/error_translation.h"
#include "server/rpc/forward_translation.h"
#include "server/rpc/manifest_translation.h"
#include "server/rpc/recorded_request.h"
#include "server/rpc/request_translation.h"
#include "server/rpc/response_translation.h"
#include "server/service/forward.h"
#include "server/service/save_model.h"
#include "server/service/warm_start.h"

namespace warmstart::rpc {
namespace {

using SaveStream = grpc::ServerReader<v1::SaveModelRequest>;

// Some times what the manifests of the largest published models take.
constexpr size_t kMaxManifestBytes = 64 * 1024 * 1024;

// `bytes_before` is what the manifest's messages before this one had.
absl::Status AddManifest(const v1::Manifest& proto, size_t& bytes_before,
                         service::SaveModel& save) {
  bytes_before += proto.ByteSizeLong();
  if (bytes_before > kMaxManifestBytes) {
    return InvalidField("manifest", absl::StrCat("has more than ",
                                                 kMaxManifestBytes, " bytes"));
  }
  ASSIGN_OR_RETURN(Manifest part, FromProto(proto));
  return save.AddManifest(std::move(part));
}

// Hands what follows the header of the stream to `save`.
absl::Status ReceiveFiles(grpc::ServerContext* call, SaveStream* stream,
                          service::SaveModel& save) {
  v1::SaveModelRequest message;
  size_t manifest_bytes = 0;
  while (stream->Read(&message)) {
    switch (message.payload_case()) {
      case v1::SaveModelRequest::kHeader:
        return InvalidField("header", "is sent once, first");
      case v1::SaveModelRequest::kFile: {
        v1::FileHeader& file = *message.mutable_file();
        std::optional<int64_t> size;
        if (file.has_size()) size = file.size();
        RETURN_IF_ERROR(save.BeginFile(std::move(*file.mutable_name()), size));
        break;
      }
      case v1::SaveModelRequest::kChunk:
        RETURN_IF_ERROR(CheckChunkSize(message.chunk()));
        RETURN_IF_ERROR(save.Append(message.chunk()));
        break;
      case v1::SaveModelRequest::kManifest:
        RETURN_IF_ERROR(AddManifest(message.manifest(), manifest_bytes, save));
        break;
      case v1::SaveModelRequest::PAYLOAD_NOT_SET:
        return InvalidField("payload", "is not set");
    }
  }
  // The stream also ends when the client goes away, and then what came is not
  // what the client wanted to be saved.
  if (call->IsCancelled()) {
    return absl::CancelledError("the upload was cancelled; nothing was stored");
  }
  return absl::OkStatus();
}

absl::StatusOr<service::SaveModelResult> Save(const service::Context& context,
                                              grpc::ServerContext* call,
                                              SaveStream* stream) {
  v1::SaveModelRequest first;
  if (!stream->Read(&first) || !first.has_header()) {
    return InvalidField("header", "is required, as the first message");
  }
  ASSIGN_OR_RETURN(service::SaveModelRequest request,
                   FromProto(first.header()));
  ASSIGN_OR_RETURN(std::unique_ptr<service::SaveModel> save,
                   service::SaveModel::Begin(context, std::move(request)));
  if (save->earlier().has_value()) return *save->earlier();
  RETURN_IF_ERROR(ReceiveFiles(call, stream, *save));
  return save->Finish();
}

absl::Status ToProto(const service::SaveModelResult& result,
                     v1::SaveModelResponse* response) {
  RETURN_IF_ERROR(
      rpc::ToProto(result.checkpoint, response->mutable_checkpoint()));
  if (result.report.has_value()) {
    rpc::ToProto(*result.report, response->mutable_report());
  }
  for (const format::SkippedValue& value : result.skipped) {
    v1::SkippedValue* skipped = response->add_skipped_values();
    skipped->set_path(value.path);
    skipped->set_reason(value.reason);
  }
  return absl::OkStatus();
}

absl::Status SaveAndAnswer(const service::Context& context,
                           grpc::ServerContext* call, SaveStream* stream,
                           v1::SaveModelResponse* response) {
  ASSIGN_OR_RETURN(const service::SaveModelResult result,
                   Save(context, call, stream));
  return ToProto(result, response);
}

// Fills the report also where the answer is an error: a policy was not met.
absl::Status Start(const service::Context& context,
                   const v1::WarmStartRequest& request,
                   v1::WarmStartResponse* response) {
  ASSIGN_OR_RETURN(service::WarmStartRequest translated, FromProto(request));
  translated.recorded = RecordedText(request);
  ASSIGN_OR_RETURN(const service::WarmStartResult result,
                   service::WarmStart(context, translated));
  rpc::ToProto(result.report, response->mutable_report());
  RETURN_IF_ERROR(result.verdict);
  if (!result.checkpoint.has_value()) return absl::OkStatus();
  return rpc::ToProto(*result.checkpoint, response->mutable_checkpoint());
}

absl::Status RunForward(const service::Context& context,
                        const v1::ForwardRequest& request,
                        v1::ForwardResponse* response) {
  ASSIGN_OR_RETURN(const service::ForwardRequest translated,
                   FromProto(request));
  ASSIGN_OR_RETURN(service::ForwardResult result,
                   service::Forward(context, translated));
  rpc::ToProto(std::move(result), response);
  return absl::OkStatus();
}

}  // namespace

grpc::Status ModelInitializerService::SaveModel(
    grpc::ServerContext* call, SaveStream* stream,
    v1::SaveModelResponse* response) {
  return calls_.Answer(
      *call, [&] { return SaveAndAnswer(context_, call, stream, response); });
}

grpc::Status ModelInitializerService::WarmStart(
    grpc::ServerContext* call, const v1::WarmStartRequest* request,
    v1::WarmStartResponse* response) {
  const absl::Status status =
      calls_.Run([&] { return Start(context_, *request, response); });
  return ToGrpcStatus(status,
                      response->has_report() ? &response->report() : nullptr,
                      MaxErrorBytes(*call));
}

grpc::Status ModelInitializerService::Forward(grpc::ServerContext* call,
                                              const v1::ForwardRequest* request,
                                              v1::ForwardResponse* response) {
  return calls_.Answer(
      *call, [&] { return RunForward(context_, *request, response); });
}

}  // namespace warmstart::rpc
