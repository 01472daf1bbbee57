#include "server/torch/device.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>
#include <link.h>

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/status_macros.h"
#include "server/torch/edge.h"

namespace warmstart::backend {
namespace {

// What LoadCudaIfPresent found.
struct Cuda {
  int device_count = 0;
  // Why device_count is 0.
  std::string problem;
  // Where the library was found.
  std::string library;
};

std::string LoaderError() {
  const char* error = dlerror();
  return error == nullptr ? "unknown error" : error;
}

// The number of devices that the driver sees. Asking it first keeps a server
// without a GPU from loading libtorch_cuda.so, which takes over 100 MB of
// memory even where it finds nothing. libcuda.so.1 comes with the driver, also
// where there is no /dev/nvidiactl (Jetson, WSL).
absl::StatusOr<int> DriverDeviceCount() {
  // Never closed: the driver keeps threads and handlers of its own.
  void* const driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("NVIDIA driver not found (", LoaderError(), ")"));
  }
  const auto init =
      reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  const auto get_count =
      reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
  if (init == nullptr || get_count == nullptr) {
    return absl::NotFoundError("libcuda.so.1 is no NVIDIA driver");
  }
  constexpr int kNoDevice = 100;
  int count = 0;
  int error = init(0);
  if (error == 0) error = get_count(&count);
  if (error == kNoDevice || (error == 0 && count == 0)) {
    return absl::NotFoundError("the NVIDIA driver sees no GPU");
  }
  if (error != 0) {
    return absl::NotFoundError(
        absl::StrCat("the NVIDIA driver failed with CUDA error ", error));
  }
  return count;
}

// The folder of libtorch_cpu.so, which is in this process; "" if unknown.
std::string TorchLibraryFolder() {
  void* const torch = dlopen("libtorch_cpu.so", RTLD_NOW | RTLD_NOLOAD);
  if (torch == nullptr) return "";
  struct link_map* map = nullptr;
  std::string path;
  if (dlinfo(torch, RTLD_DI_LINKMAP, static_cast<void*>(&map)) == 0)
    path = map->l_name;
  dlclose(torch);
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

// Loads the library beside libtorch_cpu.so, or the one that the loader finds;
// returns its path. It registers its kernels as it is loaded.
absl::StatusOr<std::string> LoadCudaLibrary() {
  constexpr char kName[] = "libtorch_cuda.so";
  std::string errors;
  for (const std::string& path :
       {absl::StrCat(TorchLibraryFolder(), "/", kName), std::string(kName)}) {
    if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) return path;
    absl::StrAppend(&errors, errors.empty() ? "" : "; ", LoaderError());
  }
  return absl::NotFoundError(
      absl::StrCat(kName, " could not be loaded (", errors, ")"));
}

// What CUDA's runtime, which libtorch_cuda.so brings, says about the devices: a
// driver that is too old, for one.
std::string RuntimeProblem() {
  const auto get_count = reinterpret_cast<int (*)(int*)>(
      dlsym(RTLD_DEFAULT, "cudaGetDeviceCount"));
  const auto get_text = reinterpret_cast<const char* (*)(int)>(
      dlsym(RTLD_DEFAULT, "cudaGetErrorString"));
  if (get_count == nullptr || get_text == nullptr) {
    return "its CUDA runtime is missing";
  }
  int count = 0;
  return get_text(get_count(&count));
}

// The number of devices that LibTorch can use.
absl::StatusOr<int> UsableDeviceCount() {
  int count = 0;
  RETURN_IF_ERROR(
      GuardTorch([&] { count = at::detail::getCUDAHooks().getNumGPUs(); }));
  if (count > 0) return count;
  return absl::NotFoundError(absl::StrCat("LibTorch can use none of the GPUs (",
                                          RuntimeProblem(), ")"));
}

absl::StatusOr<Cuda> TryLoadCuda() {
  Cuda cuda;
  RETURN_IF_ERROR(DriverDeviceCount().status());
  ASSIGN_OR_RETURN(cuda.library, LoadCudaLibrary());
  ASSIGN_OR_RETURN(cuda.device_count, UsableDeviceCount());
  return cuda;
}

// Libraries are loaded into the process, so what was found is the process's.
const Cuda& LoadedCuda() {
  static const Cuda* const cuda = [] {
    absl::StatusOr<Cuda> found = TryLoadCuda();
    if (found.ok()) return new Cuda(*std::move(found));
    return new Cuda{.problem = std::string(found.status().message())};
  }();
  return *cuda;
}

absl::StatusOr<size_t> FreeMemory(int index) {
  size_t free_bytes = 0;
  RETURN_IF_ERROR(GuardTorch([&] {
    free_bytes = c10::getDeviceAllocator(c10::DeviceType::CUDA)
                     ->getMemoryInfo(static_cast<c10::DeviceIndex>(index))
                     .first;
  }));
  return free_bytes;
}

absl::StatusOr<Device> CudaDevice(int index) {
  const Cuda& cuda = LoadedCuda();
  if (cuda.device_count == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("no CUDA device: ", cuda.problem));
  }
  if (index >= cuda.device_count) {
    return absl::FailedPreconditionError(absl::StrCat(
        "no device cuda:", index, ": there ",
        cuda.device_count == 1
            ? "is 1 CUDA device"
            : absl::StrCat("are ", cuda.device_count, " CUDA devices")));
  }
  return Device{Device::Kind::kCuda, index};
}

// A device that does not tell its free memory is not chosen.
Device RoomiestDevice() {
  Device best;
  size_t best_free = 0;
  for (int i = 0; i < CudaDeviceCount(); ++i) {
    const absl::StatusOr<size_t> free_bytes = FreeMemory(i);
    if (free_bytes.ok() && *free_bytes > best_free) {
      best = Device{Device::Kind::kCuda, i};
      best_free = *free_bytes;
    }
  }
  return best;
}

// Takes "cuda:" and plain decimal digits: SimpleAtoi alone takes signs and
// spaces too.
bool ParseCudaIndex(absl::string_view name, int* index) {
  if (!absl::ConsumePrefix(&name, "cuda:")) return false;
  for (char c : name) {
    if (!absl::ascii_isdigit(c)) return false;
  }
  return absl::SimpleAtoi(name, index);
}

}  // namespace

std::string Device::ToString() const {
  return kind == Kind::kCpu ? "cpu" : absl::StrCat("cuda:", index);
}

std::string LoadCudaIfPresent() {
  // What is slow about LibTorch's first use is not left to the first request.
  ConfigureThreads();
  const Cuda& cuda = LoadedCuda();
  if (cuda.device_count == 0) {
    return absl::StrCat("CUDA: none; ", cuda.problem);
  }
  return absl::StrCat("CUDA: ", cuda.device_count,
                      cuda.device_count == 1 ? " device" : " devices", ", by ",
                      cuda.library);
}

int CudaDeviceCount() { return LoadedCuda().device_count; }

std::string CudaProblem() { return LoadedCuda().problem; }

absl::StatusOr<Device> ResolveDevice(absl::string_view name) {
  if (name == "cpu") return Device{};
  if (name == "auto") return RoomiestDevice();
  if (name == "cuda") return CudaDevice(0);
  int index = 0;
  if (ParseCudaIndex(name, &index)) return CudaDevice(index);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown device '", name,
                   "'; known: cpu, cuda, cuda:N (N from 0), auto"));
}

}  // namespace warmstart::backend
