#include "server/torch/edge.h"

#include <ATen/Parallel.h>

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace warmstart::backend {
namespace {

class Silent : public c10::WarningHandler {
 public:
  void process(const c10::Warning&) override {}
};

// LibTorch's longer messages go on with backtraces and tables of kernels.
absl::string_view FirstLine(absl::string_view text) {
  return text.substr(0, text.find('\n'));
}

absl::StatusCode CodeOf(const c10::Error& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) {
    return absl::StatusCode::kResourceExhausted;
  }
  if (dynamic_cast<const c10::AcceleratorError*>(&error) != nullptr) {
    return absl::StatusCode::kInternal;
  }
  // The host's allocator throws a plain Error, which only its text tells apart.
  if (absl::StrContains(error.what_without_backtrace(),
                        "DefaultCPUAllocator")) {
    return absl::StatusCode::kResourceExhausted;
  }
  return absl::StatusCode::kInvalidArgument;
}

}  // namespace

absl::Status StatusOfCurrentException() {
  try {
    throw;
  } catch (const c10::Error& error) {
    return absl::Status(CodeOf(error),
                        FirstLine(error.what_without_backtrace()));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::runtime_error& error) {
    // What c10 throws, alone among the libraries, for a value that a type
    // cannot hold.
    return absl::InvalidArgumentError(FirstLine(error.what()));
  } catch (const std::exception& error) {
    return absl::InternalError(FirstLine(error.what()));
  } catch (...) {
    return absl::InternalError("LibTorch threw an unknown exception");
  }
}

absl::Status Annotate(const absl::Status& status, absl::string_view subject) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(subject, ": ", status.message()));
}

void ConfigureThreads() {
  // The number is the process's, but OpenMP keeps it for each thread.
  static const bool process = (at::set_num_threads(1), true);
  thread_local const bool thread = (at::init_num_threads(), true);
  static_cast<void>(process);
  static_cast<void>(thread);
}

c10::WarningHandler& SilentWarningHandler() {
  static Silent* const handler = new Silent;
  return *handler;
}

}  // namespace warmstart::backend
