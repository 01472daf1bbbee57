#include "server/rpc/server_information_service.h"

#include <google/protobuf/util/time_util.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/status_macros.h"
#include "server/service/server_info.h"

namespace warmstart::rpc {
namespace {

using google::protobuf::util::TimeUtil;

void ToProto(const service::ResidentModels::DeviceState& state,
             v1::ResidentModels* proto) {
  proto->set_limit_bytes(state.limit_bytes);
  proto->set_size_bytes(state.num_bytes);
  proto->set_hit_count(state.num_hits);
  proto->set_miss_count(state.num_misses);
  proto->set_eviction_count(state.num_evictions);
  for (const service::ResidentModels::Resident& resident : state.models) {
    v1::ResidentModel* model = proto->add_models();
    model->set_checkpoint(resident.key.checkpoint.ToString());
    model->set_architecture(resident.key.architecture.ToString());
    model->set_size_bytes(resident.num_bytes);
    model->set_use_count(resident.num_uses);
  }
}

void ToProto(const service::StoreStatus& store, v1::StoreInfo* proto) {
  proto->set_stored_bytes(store.usage.stored_bytes);
  proto->set_receiving_bytes(store.usage.receiving_bytes);
  proto->set_checkpoint_count(store.usage.num_checkpoints);
  proto->set_max_bytes(store.limits.max_bytes);
  proto->set_max_checkpoints(store.limits.max_checkpoints);
  proto->set_max_upload_bytes(store.limits.max_upload_bytes);
  proto->set_damaged_tensor_count(store.num_damaged);
  for (const std::string& rule : store.retention_rules) {
    proto->add_retention_rules(rule);
  }
}

void ToProto(const service::ServerInfo& info, v1::ServerInfo* proto) {
  proto->set_version(WARMSTART_VERSION);
  proto->set_torch_version(info.torch_version);
  proto->set_default_device(info.default_device);
  proto->set_cuda_problem(info.cuda_problem);
  for (const service::DeviceStatus& status : info.devices) {
    v1::DeviceInfo* device = proto->add_devices();
    device->set_name(status.name);
    device->set_description(status.description);
    device->set_memory_bytes(status.memory_bytes);
    device->set_free_memory_bytes(status.free_memory_bytes);
    ToProto(status.resident_models, device->mutable_resident_models());
  }
  ToProto(info.store, proto->mutable_store());
}

}  // namespace

grpc::Status ServerInformationService::GetServerInfo(
    grpc::ServerContext* call, const v1::GetServerInfoRequest*,
    v1::ServerInfo* response) {
  return calls_.Answer(*call, [&] {
    ASSIGN_OR_RETURN(const service::ServerInfo info,
                     service::GetServerInfo(context_));
    ToProto(info, response);
    *response->mutable_start_time() =
        TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(start_time_));
    return absl::OkStatus();
  });
}

}  // namespace warmstart::rpc
