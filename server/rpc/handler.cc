#include "server/rpc/handler.h"

#include <exception>
#include <new>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/rpc/error_translation.h"

namespace warmstart::rpc {

absl::Status Guarded(absl::FunctionRef<absl::Status()> method) {
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

grpc::Status Answer(const grpc::ServerContext& call,
                    absl::FunctionRef<absl::Status()> method) {
  return ToGrpcStatus(Guarded(method), nullptr, MaxErrorBytes(call));
}

}  // namespace warmstart::rpc
