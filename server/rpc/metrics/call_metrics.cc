#include "server/rpc/metrics/call_metrics.h"

#include <google/protobuf/descriptor.h>

#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace warmstart::rpc {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::ServerRpcInfo;

namespace {

// Seconds. From a health check to an upload of hours.
const prometheus::Histogram::BucketBoundaries& Buckets() {
  static const auto& buckets = *new prometheus::Histogram::BucketBoundaries{
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
      1,     2.5,    5,     10,   30,    60,   300, 1800};
  return buckets;
}

const char* TypeName(ServerRpcInfo::Type type) {
  switch (type) {
    case ServerRpcInfo::Type::UNARY:
      return "unary";
    case ServerRpcInfo::Type::CLIENT_STREAMING:
      return "client_stream";
    case ServerRpcInfo::Type::SERVER_STREAMING:
      return "server_stream";
    case ServerRpcInfo::Type::BIDI_STREAMING:
      return "bidi_stream";
  }
  return "unknown";
}

// As gRPC's Go library prints them.
const char* CodeName(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return "OK";
    case grpc::StatusCode::CANCELLED:
      return "Canceled";
    case grpc::StatusCode::INVALID_ARGUMENT:
      return "InvalidArgument";
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return "DeadlineExceeded";
    case grpc::StatusCode::NOT_FOUND:
      return "NotFound";
    case grpc::StatusCode::ALREADY_EXISTS:
      return "AlreadyExists";
    case grpc::StatusCode::PERMISSION_DENIED:
      return "PermissionDenied";
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return "ResourceExhausted";
    case grpc::StatusCode::FAILED_PRECONDITION:
      return "FailedPrecondition";
    case grpc::StatusCode::ABORTED:
      return "Aborted";
    case grpc::StatusCode::OUT_OF_RANGE:
      return "OutOfRange";
    case grpc::StatusCode::UNIMPLEMENTED:
      return "Unimplemented";
    case grpc::StatusCode::INTERNAL:
      return "Internal";
    case grpc::StatusCode::UNAVAILABLE:
      return "Unavailable";
    case grpc::StatusCode::DATA_LOSS:
      return "DataLoss";
    case grpc::StatusCode::UNAUTHENTICATED:
      return "Unauthenticated";
    default:
      return "Unknown";
  }
}

// Whether a server of this program may have it. Health checks come without a
// description in Debian's gRPC.
bool IsKnown(const std::string& service, const std::string& method) {
  if (service == "grpc.health.v1.Health") {
    return method == "Check" || method == "Watch";
  }
  const google::protobuf::ServiceDescriptor* const found =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          service);
  return found != nullptr && found->FindMethodByName(method) != nullptr;
}

// `path` is "/package.Service/Method", or whatever a client sent.
prometheus::Labels MethodLabels(absl::string_view path,
                                ServerRpcInfo::Type type) {
  absl::ConsumePrefix(&path, "/");
  const std::pair<std::string, std::string> names =
      absl::StrSplit(path, absl::MaxSplits('/', 1));
  const bool is_known = IsKnown(names.first, names.second);
  return {{"grpc_type", TypeName(type)},
          {"grpc_service", is_known ? names.first : "unknown"},
          {"grpc_method", is_known ? names.second : "unknown"}};
}

}  // namespace

// Of one call, from its arrival until its status is sent.
class CallInterceptor final : public grpc::experimental::Interceptor {
 public:
  CallInterceptor(CallMetrics& metrics, const ServerRpcInfo& call)
      : metrics_(metrics),
        labels_(MethodLabels(call.method(), call.type())),
        start_(std::chrono::steady_clock::now()) {
    metrics_.started_.Add(labels_).Increment();
  }

  void Intercept(
      grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_STATUS)) {
      Count(methods->GetSendStatus().error_code());
    }
    methods->Proceed();
  }

 private:
  void Count(grpc::StatusCode code) {
    const std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - start_;
    metrics_.handling_.Add(labels_, Buckets()).Observe(took.count());
    prometheus::Labels with_code = labels_;
    with_code["grpc_code"] = CodeName(code);
    metrics_.handled_.Add(with_code).Increment();
  }

  CallMetrics& metrics_;
  const prometheus::Labels labels_;
  const std::chrono::steady_clock::time_point start_;
};

namespace {

class CallInterceptorFactory final
    : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallInterceptorFactory(CallMetrics& metrics) : metrics_(metrics) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      ServerRpcInfo* call) override {
    return new CallInterceptor(metrics_, *call);
  }

 private:
  CallMetrics& metrics_;
};

}  // namespace

CallMetrics::CallMetrics()
    : started_(prometheus::BuildCounter()
                   .Name("grpc_server_started_total")
                   .Help("Calls that were begun.")
                   .Register(registry_)),
      handled_(prometheus::BuildCounter()
                   .Name("grpc_server_handled_total")
                   .Help("Calls that were answered, by the answer's code.")
                   .Register(registry_)),
      handling_(prometheus::BuildHistogram()
                    .Name("grpc_server_handling_seconds")
                    .Help("How long calls took until they were answered.")
                    .Register(registry_)) {}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
CallMetrics::NewInterceptorFactory() {
  return std::make_unique<CallInterceptorFactory>(*this);
}

std::vector<prometheus::MetricFamily> CallMetrics::Collect() const {
  return registry_.Collect();
}

}  // namespace warmstart::rpc
