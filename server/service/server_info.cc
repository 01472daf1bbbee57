#include "server/service/server_info.h"

#include "server/base/status_macros.h"
#include "server/store/care.h"
#include "server/torch/device.h"
#include "server/torch/device_info.h"

namespace warmstart::service {

absl::StatusOr<ServerInfo> GetServerInfo(const Context& context) {
  ServerInfo info;
  info.torch_version = backend::TorchVersion();
  info.default_device = context.default_device;
  info.cuda_problem = backend::CudaProblem();
  for (const backend::DeviceInfo& device : backend::DescribeDevices()) {
    info.devices.push_back(
        {.name = device.device.ToString(),
         .description = device.description,
         .memory_bytes = device.memory_bytes,
         .free_memory_bytes = device.free_memory_bytes,
         .resident_models = context.resident_models->StateOf(device.device)});
  }
  info.store.usage = context.store->usage();
  info.store.limits = context.store->limits();
  ASSIGN_OR_RETURN(const store::Damage damage,
                   context.store->FindDamage({.blobs = 0, .uses = 0}));
  info.store.num_damaged = damage.num_blobs;
  for (const store::RetentionRule& rule : context.retention_rules) {
    info.store.retention_rules.push_back(rule.ToString());
  }
  return info;
}

}  // namespace warmstart::service
