#include "server/rpc/checkpoints_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/rpc/call_runner.h"
#include "server/rpc/manifest_translation.h"
#include "server/rpc/request_translation.h"
#include "server/rpc/response_translation.h"
#include "server/service/delta/missing_tensors.h"
#include "server/service/diff_checkpoints.h"
#include "server/service/download.h"
#include "server/service/download_tensors.h"
#include "server/service/handles.h"
#include "server/service/request_checks.h"

namespace warmstart::rpc {
namespace {

using DownloadStream = grpc::ServerWriter<v1::DownloadCheckpointResponse>;

using TensorStream = grpc::ServerWriter<v1::DownloadTensorsResponse>;

constexpr size_t kDownloadChunk = 1024 * 1024;

absl::Status Get(store::Store& store, const v1::GetCheckpointRequest& request,
                 v1::Checkpoint* response) {
  ASSIGN_OR_RETURN(const store::Checkpoint checkpoint,
                   service::FindCheckpoint(store, "name", request.name()));
  RETURN_IF_ERROR(ToProto(checkpoint, response));
  if (request.view() != v1::CHECKPOINT_VIEW_FULL) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto manifest, store.GetManifest(checkpoint.name));
  return AddFullView(checkpoint, *manifest, response);
}

absl::Status List(store::Store& store,
                  const v1::ListCheckpointsRequest& request,
                  v1::ListCheckpointsResponse* response) {
  ASSIGN_OR_RETURN(const store::ListCheckpointsOptions options,
                   FromProto(request));
  ASSIGN_OR_RETURN(const store::CheckpointPage page,
                   store.ListCheckpoints(options));
  for (const store::Checkpoint& checkpoint : page.checkpoints) {
    RETURN_IF_ERROR(ToProto(checkpoint, response->add_checkpoints()));
  }
  response->set_next_page_token(page.next_page_token);
  return absl::OkStatus();
}

// Which parts of a checkpoint a request is to change.
struct UpdatedParts {
  bool labels = false;
  bool expiration = false;
};

absl::StatusOr<UpdatedParts> PartsOf(
    const v1::UpdateCheckpointRequest& request) {
  if (request.update_mask().paths().empty()) {
    return UpdatedParts{.labels = true,
                        .expiration = request.checkpoint().expiration_case() !=
                                      v1::Checkpoint::EXPIRATION_NOT_SET};
  }
  UpdatedParts parts;
  for (const std::string& path : request.update_mask().paths()) {
    const bool is_expiration = path == "expire_time" || path == "ttl";
    if (path != "labels" && path != "*" && !is_expiration) {
      return InvalidField("update_mask",
                          absl::StrCat("'", path,
                                       "' cannot be changed; only 'labels', "
                                       "'expire_time' and 'ttl' can"));
    }
    parts.labels |= !is_expiration;
    parts.expiration |= path != "labels";
  }
  return parts;
}

absl::StatusOr<store::CheckpointUpdate> UpdateOf(
    const service::Context& context,
    const v1::UpdateCheckpointRequest& request) {
  const v1::Checkpoint& given = request.checkpoint();
  ASSIGN_OR_RETURN(const UpdatedParts parts, PartsOf(request));
  store::CheckpointUpdate update;
  if (parts.labels) {
    update.labels.emplace(given.labels().begin(), given.labels().end());
    RETURN_IF_ERROR(service::CheckLabels(*update.labels));
  }
  if (parts.expiration) {
    ASSIGN_OR_RETURN(update.expiration, ExpirationFromProto(given));
    RETURN_IF_ERROR(
        service::CheckExpiration(*update.expiration, context.clock->Now()));
  }
  return update;
}

absl::Status Update(const service::Context& context,
                    const v1::UpdateCheckpointRequest& request,
                    v1::Checkpoint* response) {
  store::Store& store = *context.store;
  ASSIGN_OR_RETURN(const store::CheckpointUpdate update,
                   UpdateOf(context, request));
  ASSIGN_OR_RETURN(const store::Checkpoint found,
                   service::FindCheckpoint(store, "checkpoint.name",
                                           request.checkpoint().name()));
  ASSIGN_OR_RETURN(const store::Checkpoint updated,
                   store.UpdateCheckpoint(found.name, update));
  return ToProto(updated, response);
}

absl::Status Delete(const service::Context& context,
                    const v1::DeleteCheckpointRequest& request) {
  if (request.name().empty()) return InvalidField("name", "is required");
  const absl::StatusOr<CheckpointName> name =
      CheckpointName::Parse(request.name());
  if (!name.ok()) return InvalidField("name", name.status().message());
  RETURN_IF_ERROR(context.store->DeleteCheckpoint(*name, request.force()));
  context.resident_models->DropCheckpoint(*name);
  return absl::OkStatus();
}

using DownloadPtr = std::unique_ptr<service::Download>;

absl::StatusOr<DownloadPtr> Open(const service::Context& context,
                                 const v1::DownloadCheckpointRequest& request) {
  ASSIGN_OR_RETURN(const service::FileFormat format,
                   FromProto(request.format()));
  if (request.parts().empty()) {
    return service::Download::Open(context, request.name(), format,
                                   request.offset());
  }
  if (!request.name().empty()) {
    return InvalidField("name", "and `parts` are both there; send one of them");
  }
  std::vector<service::DownloadPart> parts;
  for (const v1::DownloadPart& part : request.parts()) {
    parts.push_back({part.checkpoint(), part.key()});
  }
  return service::Download::Open(context, parts, format, request.offset());
}

// What the first message has besides the first bytes.
void Announce(const service::Download& download, bool is_of_parts,
              v1::DownloadCheckpointResponse* message) {
  message->set_file_size(download.file_size());
  for (const CheckpointName& name : download.checkpoints()) {
    if (is_of_parts) {
      message->add_part_checkpoints(name.ToString());
    } else {
      message->set_checkpoint(name.ToString());
    }
  }
}

absl::Status Send(const service::Context& context,
                  const v1::DownloadCheckpointRequest& request,
                  DownloadStream* stream) {
  ASSIGN_OR_RETURN(const DownloadPtr download, Open(context, request));
  v1::DownloadCheckpointResponse message;
  Announce(*download, !request.parts().empty(), &message);
  for (bool first = true;; first = false) {
    RETURN_IF_ERROR(download->Read(kDownloadChunk, message.mutable_chunk()));
    if (message.chunk().empty() && !first) return absl::OkStatus();
    if (!stream->Write(message)) {
      return absl::CancelledError("the client stopped reading");
    }
    message.clear_file_size();
    message.clear_checkpoint();
    message.clear_part_checkpoints();
  }
}

// A tensor in messages of a size that gRPC likes; one, also where it is empty.
absl::Status SendTensor(const Digest& digest, absl::string_view bytes,
                        TensorStream* stream) {
  v1::DownloadTensorsResponse message;
  message.set_digest(digest.ToHex());
  message.set_size_bytes(static_cast<int64_t>(bytes.size()));
  do {
    const absl::string_view chunk = bytes.substr(0, kDownloadChunk);
    message.set_chunk(chunk.data(), chunk.size());
    if (!stream->Write(message)) {
      return absl::CancelledError("the client stopped reading");
    }
    bytes.remove_prefix(chunk.size());
    message.clear_digest();
    message.clear_size_bytes();
  } while (!bytes.empty());
  return absl::OkStatus();
}

absl::Status Send(store::Store& store,
                  const v1::DownloadTensorsRequest& request,
                  TensorStream* stream) {
  ASSIGN_OR_RETURN(const std::vector<Digest> digests,
                   service::ParseDigests(
                       {request.digests().begin(), request.digests().end()}));
  return service::DownloadTensors(
      store, request.name(), digests,
      [stream](const Digest& digest, absl::string_view bytes) {
        return SendTensor(digest, bytes, stream);
      });
}

// The page token of a manifest is the position of its first entry: a checkpoint
// is immutable.
absl::Status GetEntries(store::Store& store,
                        const v1::GetManifestRequest& request,
                        v1::Manifest* response) {
  ASSIGN_OR_RETURN(const store::Checkpoint checkpoint,
                   service::FindCheckpoint(store, "name", request.name()));
  ASSIGN_OR_RETURN(const int page_size,
                   PageSize(request.page_size(), 1000, 10000));
  ASSIGN_OR_RETURN(const auto manifest, store.GetManifest(checkpoint.name));
  uint64_t first = 0;
  if (!request.page_token().empty() &&
      (!absl::SimpleAtoi(request.page_token(), &first) ||
       first >= manifest->entries.size())) {
    return InvalidField("page_token", "was not given for this checkpoint");
  }
  const size_t end = std::min(manifest->entries.size(),
                              static_cast<size_t>(first) + page_size);
  const bool full = request.view() == v1::CHECKPOINT_VIEW_FULL;
  for (size_t i = first; i < end; ++i) {
    ToProto(manifest->entries[i], full, response->add_entries());
  }
  if (full && first == 0) AddManifestDetails(*manifest, response);
  if (end < manifest->entries.size()) {
    response->set_next_page_token(absl::StrCat(end));
  }
  return absl::OkStatus();
}

absl::StatusOr<AliasName> ParseAlias(const std::string& name) {
  if (name.empty()) return InvalidField("name", "is required");
  absl::StatusOr<AliasName> alias = AliasName::Parse(name);
  if (!alias.ok()) return InvalidField("name", alias.status().message());
  return alias;
}

absl::Status Set(store::Store& store, const v1::SetAliasRequest& request,
                 v1::Alias* response) {
  ASSIGN_OR_RETURN(const AliasName name, ParseAlias(request.name()));
  ASSIGN_OR_RETURN(
      const store::Checkpoint checkpoint,
      service::FindCheckpoint(store, "checkpoint", request.checkpoint()));
  ASSIGN_OR_RETURN(const store::Alias alias,
                   store.SetAlias(name, checkpoint.name));
  ToProto(alias, response);
  return absl::OkStatus();
}

absl::Status Drop(store::Store& store, const v1::DeleteAliasRequest& request) {
  ASSIGN_OR_RETURN(const AliasName name, ParseAlias(request.name()));
  return store.DeleteAlias(name);
}

absl::Status List(store::Store& store, const v1::ListAliasesRequest& request,
                  v1::ListAliasesResponse* response) {
  ASSIGN_OR_RETURN(const int page_size,
                   PageSize(request.page_size(), 50, 1000));
  ASSIGN_OR_RETURN(const store::AliasPage page,
                   store.ListAliases(page_size, request.page_token()));
  for (const store::Alias& alias : page.aliases) {
    ToProto(alias, response->add_aliases());
  }
  response->set_next_page_token(page.next_page_token);
  return absl::OkStatus();
}

}  // namespace

grpc::Status CheckpointsService::GetCheckpoint(
    grpc::ServerContext* call, const v1::GetCheckpointRequest* request,
    v1::Checkpoint* response) {
  return calls_.Answer(
      *call, [&] { return Get(*context_.store, *request, response); });
}

grpc::Status CheckpointsService::ListCheckpoints(
    grpc::ServerContext* call, const v1::ListCheckpointsRequest* request,
    v1::ListCheckpointsResponse* response) {
  return calls_.Answer(
      *call, [&] { return List(*context_.store, *request, response); });
}

grpc::Status CheckpointsService::UpdateCheckpoint(
    grpc::ServerContext* call, const v1::UpdateCheckpointRequest* request,
    v1::Checkpoint* response) {
  return calls_.Answer(*call,
                       [&] { return Update(context_, *request, response); });
}

grpc::Status CheckpointsService::DeleteCheckpoint(
    grpc::ServerContext* call, const v1::DeleteCheckpointRequest* request,
    google::protobuf::Empty*) {
  return calls_.Answer(*call, [&] { return Delete(context_, *request); });
}

grpc::Status CheckpointsService::DownloadCheckpoint(
    grpc::ServerContext* call, const v1::DownloadCheckpointRequest* request,
    DownloadStream* stream) {
  return calls_.Answer(*call, [&] { return Send(context_, *request, stream); });
}

grpc::Status CheckpointsService::DownloadTensors(
    grpc::ServerContext* call, const v1::DownloadTensorsRequest* request,
    TensorStream* stream) {
  return calls_.Answer(*call,
                       [&] { return Send(*context_.store, *request, stream); });
}

grpc::Status CheckpointsService::GetManifest(
    grpc::ServerContext* call, const v1::GetManifestRequest* request,
    v1::Manifest* response) {
  return calls_.Answer(
      *call, [&] { return GetEntries(*context_.store, *request, response); });
}

grpc::Status CheckpointsService::DiffCheckpoints(
    grpc::ServerContext* call, const v1::DiffCheckpointsRequest* request,
    v1::DiffCheckpointsResponse* response) {
  return calls_.Answer(*call, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(
        const service::CheckpointDiff diff,
        service::DiffCheckpoints(context_, request->base(), request->other()));
    ToProto(diff.diff, response);
    response->set_base(diff.base.ToString());
    response->set_other(diff.other.ToString());
    return absl::OkStatus();
  });
}

grpc::Status CheckpointsService::SetAlias(grpc::ServerContext* call,
                                          const v1::SetAliasRequest* request,
                                          v1::Alias* response) {
  return calls_.Answer(
      *call, [&] { return Set(*context_.store, *request, response); });
}

grpc::Status CheckpointsService::DeleteAlias(
    grpc::ServerContext* call, const v1::DeleteAliasRequest* request,
    google::protobuf::Empty*) {
  return calls_.Answer(*call, [&] { return Drop(*context_.store, *request); });
}

grpc::Status CheckpointsService::ListAliases(
    grpc::ServerContext* call, const v1::ListAliasesRequest* request,
    v1::ListAliasesResponse* response) {
  return calls_.Answer(
      *call, [&] { return List(*context_.store, *request, response); });
}

}  // namespace warmstart::rpc
