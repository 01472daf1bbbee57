#include "server/torch/device_info.h"

#include <ATen/Version.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "server/torch/edge.h"

namespace warmstart::backend {
namespace {

// The value of the first line "name: value" of one of the kernel's tables; ""
// where there is none.
std::string TableValue(const char* path, absl::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    absl::string_view rest = line;
    if (!absl::ConsumePrefix(&rest, name)) continue;
    rest = absl::StripLeadingAsciiWhitespace(rest);
    if (!absl::ConsumePrefix(&rest, ":")) continue;
    return std::string(absl::StripAsciiWhitespace(rest));
  }
  return "";
}

// "MemTotal:  16 kB"; 0 where the kernel does not say.
int64_t MeminfoBytes(absl::string_view name) {
  const std::string value = TableValue("/proc/meminfo", name);
  absl::string_view number = value;
  int64_t kib = 0;
  if (!absl::ConsumeSuffix(&number, " kB") || !absl::SimpleAtoi(number, &kib)) {
    return 0;
  }
  return kib * 1024;
}

// A number that the control group of this process has; a container sees its own
// at this place. Nullopt where there is none, or no limit ("max").
std::optional<int64_t> CgroupBytes(const char* name) {
  std::ifstream file(absl::StrCat("/sys/fs/cgroup/", name));
  int64_t bytes = 0;
  if (!(file >> bytes)) return std::nullopt;
  return bytes;
}

DeviceInfo DescribeCpu() {
  DeviceInfo info;
  const std::string model = TableValue("/proc/cpuinfo", "model name");
  info.description =
      absl::StrCat(model.empty() ? "CPU" : model, ", ",
                   std::max(1U, std::thread::hardware_concurrency()),
                   " cores, ", at::get_cpu_capability());
  info.memory_bytes = MeminfoBytes("MemTotal");
  info.free_memory_bytes = MeminfoBytes("MemAvailable");
  const std::optional<int64_t> limit = CgroupBytes("memory.max");
  if (limit.has_value() && *limit < info.memory_bytes) {
    info.memory_bytes = *limit;
    const int64_t used = CgroupBytes("memory.current").value_or(0);
    info.free_memory_bytes =
        std::min(info.free_memory_bytes, std::max(int64_t{0}, *limit - used));
  }
  return info;
}

// The driver's name of a CUDA device. The driver is loaded where there is a
// device.
std::string CudaDeviceName(int index) {
  constexpr char kUnnamed[] = "CUDA device";
  void* const driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  if (driver == nullptr) return kUnnamed;
  const auto get_device =
      reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet"));
  const auto get_name = reinterpret_cast<int (*)(char*, int, int)>(
      dlsym(driver, "cuDeviceGetName"));
  int device = 0;
  char name[256] = "";
  const bool known = get_device != nullptr && get_name != nullptr &&
                     get_device(&device, index) == 0 &&
                     get_name(name, sizeof(name), device) == 0;
  dlclose(driver);
  return known ? name : kUnnamed;
}

DeviceInfo DescribeCuda(const Device& device) {
  DeviceInfo info{.device = device,
                  .description = CudaDeviceName(device.index)};
  const absl::Status told = GuardTorch([&] {
    const auto [free_bytes, total] =
        c10::getDeviceAllocator(c10::DeviceType::CUDA)
            ->getMemoryInfo(static_cast<c10::DeviceIndex>(device.index));
    info.free_memory_bytes = static_cast<int64_t>(free_bytes);
    info.memory_bytes = static_cast<int64_t>(total);
  });
  if (!told.ok()) absl::StrAppend(&info.description, " (", told.message(), ")");
  return info;
}

}  // namespace

DeviceInfo DescribeDevice(const Device& device) {
  return device.kind == Device::Kind::kCpu ? DescribeCpu()
                                           : DescribeCuda(device);
}

std::vector<DeviceInfo> DescribeDevices() {
  std::vector<DeviceInfo> devices = {DescribeDevice(Device{})};
  for (int i = 0; i < CudaDeviceCount(); ++i) {
    devices.push_back(DescribeDevice({Device::Kind::kCuda, i}));
  }
  return devices;
}

std::string TorchVersion() { return TORCH_VERSION; }

}  // namespace warmstart::backend
