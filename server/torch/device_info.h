// What there is to know of the devices, for people who look at a server.

#ifndef WARMSTART_SERVER_TORCH_DEVICE_INFO_H_
#define WARMSTART_SERVER_TORCH_DEVICE_INFO_H_

#include <cstdint>
#include <string>
#include <vector>

#include "server/torch/device.h"

namespace warmstart::backend {

struct DeviceInfo {
  Device device;
  std::string description;  // as its maker says: "NVIDIA H100 80GB HBM3"
  // The CPU's is what this process may use: a container's limit counts. 0 where
  // it cannot be told.
  int64_t memory_bytes = 0;
  int64_t free_memory_bytes = 0;
};

DeviceInfo DescribeDevice(const Device& device);

// Every device: the CPU, then CUDA's.
std::vector<DeviceInfo> DescribeDevices();

// Of LibTorch: "2.11.0".
std::string TorchVersion();

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_DEVICE_INFO_H_
