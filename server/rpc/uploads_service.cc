#include "server/rpc/uploads_service.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/rpc/chunk_size.h"
#include "server/rpc/request_translation.h"
#include "server/rpc/response_translation.h"
#include "server/service/delta/missing_tensors.h"
#include "server/service/uploads.h"
#include "server/store/uploads/upload_store.h"

namespace warmstart::rpc {
namespace {

absl::Status FindMissing(store::Store& store,
                         const v1::FindMissingTensorsRequest& request,
                         v1::FindMissingTensorsResponse* response) {
  ASSIGN_OR_RETURN(const std::vector<Digest> digests,
                   service::ParseDigests(
                       {request.digests().begin(), request.digests().end()}));
  ASSIGN_OR_RETURN(const std::vector<Digest> missing,
                   service::FindMissingTensors(store, digests));
  for (const Digest& digest : missing) response->add_missing(digest.ToHex());
  return absl::OkStatus();
}

using WriteStream = grpc::ServerReader<v1::WriteUploadRequest>;

absl::Status Create(const service::Context& context,
                    const v1::CreateUploadRequest& request,
                    v1::Upload* response) {
  std::vector<store::UploadFile> files;
  for (const v1::UploadFile& file : request.files()) {
    files.push_back({file.name(), file.size()});
  }
  std::optional<service::SaveModelRequest> save;
  if (request.has_header()) {
    ASSIGN_OR_RETURN(save, FromProto(request.header()));
  }
  ASSIGN_OR_RETURN(const store::Upload upload,
                   service::CreateUpload(context, std::move(files), save));
  ToProto(upload, response);
  return absl::OkStatus();
}

absl::Status Query(store::Store& store, const v1::QueryUploadRequest& request,
                   v1::Upload* response) {
  ASSIGN_OR_RETURN(
      const store::Upload upload,
      service::QueryUpload(store, request.name(), request.digests()));
  ToProto(upload, response);
  return absl::OkStatus();
}

absl::Status List(store::Store& store, const v1::ListUploadsRequest& request,
                  v1::ListUploadsResponse* response) {
  ASSIGN_OR_RETURN(
      const store::UploadPage page,
      store.uploads().List(request.page_size(), request.page_token()));
  for (const store::Upload& upload : page.uploads) {
    ToProto(upload, response->add_uploads());
  }
  response->set_next_page_token(page.next_page_token);
  return absl::OkStatus();
}

// Hands what the stream brings to `write`.
absl::Status Receive(WriteStream* stream, service::WriteUpload& write) {
  v1::WriteUploadRequest message;
  while (stream->Read(&message)) {
    switch (message.payload_case()) {
      case v1::WriteUploadRequest::kBegin: {
        const v1::UploadPosition& begin = message.begin();
        RETURN_IF_ERROR(
            write.Begin(begin.upload(), begin.file(), begin.offset()));
        break;
      }
      case v1::WriteUploadRequest::kChunk:
        RETURN_IF_ERROR(CheckChunkSize(message.chunk()));
        RETURN_IF_ERROR(write.Append(message.chunk()));
        break;
      case v1::WriteUploadRequest::PAYLOAD_NOT_SET:
        return InvalidField("payload", "is not set");
    }
  }
  return absl::OkStatus();
}

absl::Status Write(store::Store& store, grpc::ServerContext* call,
                   WriteStream* stream, v1::Upload* response) {
  service::WriteUpload write(store);
  const absl::Status received = Receive(stream, write);
  // What came is kept, however the stream ended.
  const absl::StatusOr<store::Upload> upload = write.Finish();
  RETURN_IF_ERROR(received);
  if (call->IsCancelled()) {
    return absl::CancelledError("the stream was cancelled; what came is kept");
  }
  RETURN_IF_ERROR(upload.status());
  ToProto(*upload, response);
  return absl::OkStatus();
}

}  // namespace

grpc::Status UploadsService::CreateUpload(
    grpc::ServerContext* call, const v1::CreateUploadRequest* request,
    v1::Upload* response) {
  return calls_.Answer(*call,
                       [&] { return Create(context_, *request, response); });
}

grpc::Status UploadsService::QueryUpload(grpc::ServerContext* call,
                                         const v1::QueryUploadRequest* request,
                                         v1::Upload* response) {
  return calls_.Answer(
      *call, [&] { return Query(*context_.store, *request, response); });
}

grpc::Status UploadsService::ListUploads(grpc::ServerContext* call,
                                         const v1::ListUploadsRequest* request,
                                         v1::ListUploadsResponse* response) {
  return calls_.Answer(
      *call, [&] { return List(*context_.store, *request, response); });
}

grpc::Status UploadsService::WriteUpload(grpc::ServerContext* call,
                                         WriteStream* stream,
                                         v1::Upload* response) {
  return calls_.Answer(
      *call, [&] { return Write(*context_.store, call, stream, response); });
}

grpc::Status UploadsService::DeleteUpload(
    grpc::ServerContext* call, const v1::DeleteUploadRequest* request,
    google::protobuf::Empty*) {
  return calls_.Answer(*call, [&] {
    return service::DeleteUpload(*context_.store, request->name());
  });
}

grpc::Status UploadsService::FindMissingTensors(
    grpc::ServerContext* call, const v1::FindMissingTensorsRequest* request,
    v1::FindMissingTensorsResponse* response) {
  return calls_.Answer(
      *call, [&] { return FindMissing(*context_.store, *request, response); });
}

}  // namespace warmstart::rpc
