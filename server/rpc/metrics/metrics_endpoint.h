// MetricsEndpoint: an HTTP server that Prometheus scrapes.

#ifndef WARMSTART_SERVER_RPC_METRICS_METRICS_ENDPOINT_H_
#define WARMSTART_SERVER_RPC_METRICS_METRICS_ENDPOINT_H_

#include <prometheus/collectable.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace warmstart::rpc {

// Answers GET /metrics in Prometheus' text format until it is destroyed, which
// waits for what is being answered.
class MetricsEndpoint {
 public:
  using Sources = std::vector<std::shared_ptr<const prometheus::Collectable>>;

  // `address` is HOST:PORT; port 0 takes a free one, and "[::]" listens for
  // IPv4, too. UNAVAILABLE when it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(
      const std::string& address, Sources sources);
  virtual ~MetricsEndpoint() = default;

  virtual int port() const = 0;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_METRICS_METRICS_ENDPOINT_H_
