#include "server/rpc/architectures_service.h"

#include <utility>

#include "absl/status/status.h"
#include "server/base/status_macros.h"
#include "server/rpc/architecture_translation.h"
#include "server/rpc/call_runner.h"
#include "server/rpc/request_translation.h"
#include "server/rpc/response_translation.h"

namespace warmstart::rpc {
namespace {

using service::ArchitectureRegistry;
using service::ModelPtr;

void Fill(const ArchitectureRegistry& registry,
          const backend::ModelArchitecture& model, v1::Architecture* proto) {
  ToProto(model.schema(), proto);
  proto->set_built_in(registry.IsBuiltIn(model.schema().name));
  proto->set_has_forward(model.has_forward());
}

absl::Status Register(ArchitectureRegistry& registry,
                      const v1::RegisterArchitectureRequest& request,
                      v1::Architecture* response) {
  ASSIGN_OR_RETURN(Architecture architecture,
                   FromProto(request.architecture()));
  service::RegisterOptions options;
  options.initial_values = request.architecture().initial_values();
  options.validate_only = request.validate_only();
  ASSIGN_OR_RETURN(const ModelPtr model,
                   registry.Register(std::move(architecture), options));
  Fill(registry, *model, response);
  return absl::OkStatus();
}

absl::Status Get(ArchitectureRegistry& registry,
                 const v1::GetArchitectureRequest& request,
                 v1::Architecture* response) {
  ASSIGN_OR_RETURN(const ModelPtr model, registry.Find(request.name(), "name"));
  Fill(registry, *model, response);
  return absl::OkStatus();
}

absl::Status List(ArchitectureRegistry& registry,
                  const v1::ListArchitecturesRequest& request,
                  v1::ListArchitecturesResponse* response) {
  ASSIGN_OR_RETURN(const int page_size,
                   PageSize(request.page_size(), 50, 1000));
  ASSIGN_OR_RETURN(
      const service::ArchitectureListing listing,
      request.architecture().empty()
          ? registry.List(page_size, request.page_token())
          : registry.ListVersions(request.architecture(), page_size,
                                  request.page_token()));
  for (const service::ListedArchitecture& listed : listing.architectures) {
    v1::ArchitectureSummary* summary = response->add_architectures();
    ToProto(listed.schema, summary);
    summary->set_built_in(listed.built_in);
    summary->set_has_forward(listed.has_forward);
  }
  response->set_next_page_token(listing.next_page_token);
  return absl::OkStatus();
}

}  // namespace

grpc::Status ArchitecturesService::RegisterArchitecture(
    grpc::ServerContext* call, const v1::RegisterArchitectureRequest* request,
    v1::Architecture* response) {
  return calls_.Answer(*call,
                       [&] { return Register(registry_, *request, response); });
}

grpc::Status ArchitecturesService::GetArchitecture(
    grpc::ServerContext* call, const v1::GetArchitectureRequest* request,
    v1::Architecture* response) {
  return calls_.Answer(*call,
                       [&] { return Get(registry_, *request, response); });
}

grpc::Status ArchitecturesService::ListArchitectures(
    grpc::ServerContext* call, const v1::ListArchitecturesRequest* request,
    v1::ListArchitecturesResponse* response) {
  return calls_.Answer(*call,
                       [&] { return List(registry_, *request, response); });
}

grpc::Status ArchitecturesService::DeleteArchitecture(
    grpc::ServerContext* call, const v1::DeleteArchitectureRequest* request,
    google::protobuf::Empty*) {
  return calls_.Answer(*call, [&]() -> absl::Status {
    RETURN_IF_ERROR(registry_.Delete(request->name(), request->force()));
    ASSIGN_OR_RETURN(const ArchitectureName name,
                     ArchitectureName::Parse(request->name()));
    resident_models_.DropArchitecture(name);
    return absl::OkStatus();
  });
}

}  // namespace warmstart::rpc
