// A libcuda.so.1 that answers what the test wants. The functions are those of
// CUDA's driver that server/torch/device.cc calls.

#include <cstdlib>

namespace {

int FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? 0 : std::atoi(value);
}

}  // namespace

extern "C" int cuInit(unsigned) {
  return FromEnvironment("FAKE_CUDA_INIT_ERROR");
}

extern "C" int cuDeviceGetCount(int* count) {
  *count = FromEnvironment("FAKE_CUDA_DEVICES");
  return 0;
}
