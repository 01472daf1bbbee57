// RpcServer: the gRPC server, with health and reflection.

#ifndef WARMSTART_SERVER_RPC_SERVER_H_
#define WARMSTART_SERVER_RPC_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/service/context.h"

namespace warmstart::rpc {

class CallMetrics;  // server/rpc/metrics/call_metrics.h

// Life cycle: Start listens and serves; Shutdown drains. Thread-safe.
class RpcServer {
 public:
  // `address` is HOST:PORT; port 0 takes a free one. `context`, and `metrics`
  // where calls are to be counted, must outlive the server. UNAVAILABLE when
  // the address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(
      const service::Context& context, const std::string& address,
      CallMetrics* metrics = nullptr);
  virtual ~RpcServer() = default;

  virtual int port() const = 0;

  // Reports NOT_SERVING to health checks, takes no new calls, and waits for
  // those that run; after `grace` they are cancelled. Returns when all have
  // ended.
  virtual void Shutdown(absl::Duration grace) = 0;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_SERVER_H_
