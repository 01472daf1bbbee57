// Apart from resident_models.cc, which needs nothing that LibTorch is linked to
// and is tried with ThreadSanitizer.

#include <cstdint>

#include "server/service/resident_models.h"
#include "server/torch/device_info.h"

namespace warmstart::service {

int64_t DefaultResidentBytes(const backend::Device& device) {
  const int64_t memory = backend::DescribeDevice(device).memory_bytes;
  return device.kind == backend::Device::Kind::kCpu ? memory / 4 : memory / 2;
}

}  // namespace warmstart::service
