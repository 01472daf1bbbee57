// Shows how fast a load on a CUDA device is: bytes of a mapped file in the page
// cache, through StagedCopy, beside what the bus can do (one page-locked
// buffer, copied over and over) and what a plain copy_ does. Aim: 90% of the
// bus.
//
//   build/bin/device_copy [MIB]
//
// Without a device it says so, and that is all.

#include <ATen/Functions.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/numbers.h"
#include "server/torch/device.h"
#include "server/torch/edge.h"
#include "server/torch/staged_copy.h"
#include "server/torch/tensor_bridge.h"

namespace warmstart::backend {
namespace {

constexpr int kTimes = 7;

// A file without a name, all of it in the page cache.
absl::string_view MapFile(int64_t num_bytes) {
  char path[] = "/tmp/device_copy.XXXXXX";
  const int fd = mkstemp(path);
  unlink(path);
  std::string block(1 << 20, '\0');
  for (size_t i = 0; i < block.size(); ++i)
    block[i] = static_cast<char>(i % 251);
  for (int64_t done = 0; done < num_bytes; done += int64_t{1} << 20) {
    if (write(fd, block.data(), block.size()) !=
        static_cast<ssize_t>(block.size())) {
      std::perror("device_copy: /tmp");
      std::exit(1);
    }
  }
  void* const data = mmap(nullptr, num_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  return {static_cast<const char*>(data), static_cast<size_t>(num_bytes)};
}

// The best of several, in GB/s; the first one warms up.
double Speed(at::Device device, int64_t num_bytes,
             absl::FunctionRef<void()> copy) {
  double best = 0;
  for (int i = 0; i <= kTimes; ++i) {
    const auto start = std::chrono::steady_clock::now();
    copy();
    c10::impl::VirtualGuardImpl(device.type())
        .synchronizeDevice(device.index());
    const std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - start;
    if (i > 0)
      best =
          std::max(best, static_cast<double>(num_bytes) / took.count() / 1e9);
  }
  return best;
}

void Compare(at::Device device, int64_t num_bytes) {
  const absl::string_view file = MapFile(num_bytes);
  const at::Tensor there =
      at::empty({num_bytes}, at::dtype(at::kByte).device(device));
  const int64_t block = StagedCopy::kBufferBytes;
  const at::Tensor locked =
      at::zeros({block}, at::dtype(at::kByte).pinned_memory(true));

  const double bus = Speed(device, num_bytes, [&] {
    for (int64_t done = 0; done < num_bytes; done += block) {
      there.narrow(0, done, block).copy_(locked, /*non_blocking=*/true);
    }
  });
  const double plain = Speed(device, num_bytes, [&] {
    there.copy_(ReadableTensor(file, DType::kUint8));
  });
  const double staged =
      Speed(device, num_bytes, [&] { StagedCopy(device).Copy(file, there); });
  std::printf("page-locked memory, the bus   %7.2f GB/s\n", bus);
  std::printf("a mapped file, copy_          %7.2f GB/s  %3.0f%%\n", plain,
              100 * plain / bus);
  std::printf(
      "a mapped file, as we load it  %7.2f GB/s  %3.0f%%  (aim: 90%%)\n",
      staged, 100 * staged / bus);
}

int Main(int argc, char** argv) {
  int64_t mib = 4096;
  if (argc > 1 && (!absl::SimpleAtoi(argv[1], &mib) || mib < 32)) {
    std::fputs("Usage: device_copy [MIB], a multiple of 32\n", stderr);
    return 2;
  }
  mib -= mib % 32;
  std::puts(LoadCudaIfPresent().c_str());
  const absl::StatusOr<Device> device = ResolveDevice("cuda");
  if (!device.ok()) {
    std::printf("skipped: %s\n", device.status().ToString().c_str());
    return 0;
  }
  const absl::Status status =
      GuardTorch([&] { Compare(ToAtDevice(*device), mib << 20); });
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace warmstart::backend

int main(int argc, char** argv) { return warmstart::backend::Main(argc, argv); }
