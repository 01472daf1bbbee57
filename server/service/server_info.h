// ServerInfo: what the server runs on.

#ifndef WARMSTART_SERVER_SERVICE_SERVER_INFO_H_
#define WARMSTART_SERVER_SERVICE_SERVER_INFO_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/service/context.h"
#include "server/service/resident_models.h"

namespace warmstart::service {

// As the API's messages of these names.
struct DeviceStatus {
  std::string name;
  std::string description;
  int64_t memory_bytes = 0;
  int64_t free_memory_bytes = 0;
  ResidentModels::DeviceState resident_models;
};

struct StoreStatus {
  store::StoreUsage usage;
  store::StoreLimits limits;
  int64_t num_damaged = 0;  // blobs in quarantine
  std::vector<std::string> retention_rules;
};

struct ServerInfo {
  std::string torch_version;
  std::vector<DeviceStatus> devices;  // the CPU first
  std::string default_device;
  std::string cuda_problem;
  StoreStatus store;
};

// Thread-safe. Errors are the catalog's.
absl::StatusOr<ServerInfo> GetServerInfo(const Context& context);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_SERVER_INFO_H_
