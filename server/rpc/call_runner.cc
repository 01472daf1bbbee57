#include "server/rpc/call_runner.h"

#include <exception>
#include <new>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/rpc/error_translation.h"

namespace warmstart::rpc {

absl::Status CallRunner::Run(absl::FunctionRef<absl::Status()> method) {
  ++num_running_;
  const absl::Cleanup leave = [this] { --num_running_; };
  try {
    return method();
  } catch (const std::bad_alloc&) {
    return WithErrorInfo(
        absl::ResourceExhaustedError(
            "the server has not enough memory for this request"),
        reason::kOutOfMemory);
  } catch (const std::exception& error) {
    return absl::InternalError(
        absl::StrCat("this should not have happened: ", error.what()));
  } catch (...) {
    return absl::InternalError("this should not have happened");
  }
}

grpc::Status CallRunner::Answer(const grpc::ServerContext& call,
                                absl::FunctionRef<absl::Status()> method) {
  return ToGrpcStatus(Run(method), nullptr, MaxErrorBytes(call));
}

}  // namespace warmstart::rpc
