#include "server/rpc/server.h"

#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/architectures_service.h"
#include "server/rpc/call_runner.h"
#include "server/rpc/checkpoints_service.h"
#include "server/rpc/lineage_service.h"
#include "server/rpc/metrics/call_metrics.h"
#include "server/rpc/model_initializer_service.h"
#include "server/rpc/server_information_service.h"
#include "server/rpc/uploads_service.h"

namespace warmstart::rpc {
namespace {

// Chunks of files are at most 8 MiB, and the schema of the largest architecture
// that the server takes some 30. Not more than needed: what a message takes in
// memory may be many times its size.
constexpr int kMaxRequestBytes = 32 * 1024 * 1024;

// Each running call takes a thread. Calls beyond these are refused with
// RESOURCE_EXHAUSTED.
constexpr int kMaxThreads = 1024;

// Clients that are gone without a word are noticed after a minute and a third,
// and what they were uploading is removed; the standard is two hours.
constexpr int kKeepaliveMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
// Clients may ask as often as this whether the server is alive; the standard,
// five minutes, would close connections that wait for a long answer.
constexpr int kMinPingIntervalMs = 10'000;

// How long an answer may take to leave after its method has returned.
constexpr absl::Duration kLastWords = absl::Milliseconds(500);

class GrpcServer final : public RpcServer {
 public:
  explicit GrpcServer(const service::Context& context)
      : model_initializer_(context, calls_),
        checkpoints_(context, calls_),
        architectures_(context, calls_),
        server_information_(context, calls_),
        lineage_(context, calls_),
        uploads_(context, calls_),
        admin_(context, calls_) {}

  absl::Status Listen(const std::string& address, CallMetrics* metrics) {
    // gRPC would take port 443.
    if (!absl::StrContains(address, ':')) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen on '", address, "': it is no HOST:PORT"));
    }
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(),
                             &port_);
    // Two servers that share a port by mistake would each get half the calls.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                               kKeepaliveTimeoutMs);
    builder.AddChannelArgument(
        GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
        kMinPingIntervalMs);
    grpc::ResourceQuota quota("warmstart");
    quota.SetMaxThreads(kMaxThreads);
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    builder.SetMaxSendMessageSize(-1);
    builder.RegisterService(&model_initializer_);
    builder.RegisterService(&checkpoints_);
    builder.RegisterService(&architectures_);
    builder.RegisterService(&server_information_);
    builder.RegisterService(&lineage_);
    builder.RegisterService(&uploads_);
    builder.RegisterService(&admin_);
    if (metrics != nullptr) Count(*metrics, builder);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) {
      return absl::UnavailableError(absl::StrCat(
          "cannot listen on '", address,
          "'; is the port taken, or the host not this machine's?"));
    }
    // Of itself, gRPC knows the health of the server as a whole alone.
    for (const char* service :
         {v1::ModelInitializer::service_full_name(),
          v1::Checkpoints::service_full_name(),
          v1::Architectures::service_full_name(),
          v1::ServerInformation::service_full_name(),
          v1::Lineage::service_full_name(), v1::Uploads::service_full_name(),
          v1::Admin::service_full_name()}) {
      server_->GetHealthCheckService()->SetServingStatus(service, true);
    }
    return absl::OkStatus();
  }

  int port() const override { return port_; }

  void Shutdown(absl::Duration grace) override {
    server_->GetHealthCheckService()->Shutdown();
    absl::Notification all_ended;
    std::thread watchers([&] { CancelWatchers(all_ended); });
    server_->Shutdown(std::chrono::system_clock::now() +
                      absl::ToChronoMilliseconds(grace));
    all_ended.Notify();
    watchers.join();
    server_->Wait();
  }

 private:
  static void Count(CallMetrics& metrics, grpc::ServerBuilder& builder) {
    std::vector<
        std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
        interceptors;
    interceptors.push_back(metrics.NewInterceptorFactory());
    builder.experimental().SetInterceptorCreators(std::move(interceptors));
  }

  // Cancels what still runs once no call of the API does: watchers of the
  // server's health and users of reflection, who would go on until the grace is
  // over. Returns when all has ended.
  void CancelWatchers(absl::Notification& all_ended) {
    bool was_idle = false;
    while (!all_ended.WaitForNotificationWithTimeout(kLastWords)) {
      const bool is_idle = calls_.num_running() == 0;
      if (was_idle && is_idle) {
        grpc_server_cancel_all_calls(server_->c_server());
      }
      was_idle = is_idle;
    }
  }

  CallRunner calls_;
  ModelInitializerService model_initializer_;
  CheckpointsService checkpoints_;
  ArchitecturesService architectures_;
  ServerInformationService server_information_;
  LineageService lineage_;
  UploadsService uploads_;
  AdminService admin_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(
    const service::Context& context, const std::string& address,
    CallMetrics* metrics) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  auto server = std::make_unique<GrpcServer>(context);
  if (absl::Status status = server->Listen(address, metrics); !status.ok()) {
    return status;
  }
  return server;
}

}  // namespace warmstart::rpc
