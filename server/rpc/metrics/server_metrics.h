// ServerMetrics: what GetServerInfo tells, as metrics.

#ifndef WARMSTART_SERVER_RPC_METRICS_SERVER_METRICS_H_
#define WARMSTART_SERVER_RPC_METRICS_SERVER_METRICS_H_

#include <prometheus/collectable.h>

#include <vector>

#include "server/service/context.h"

namespace warmstart::rpc {

// Bytes and counts as of the moment at which they are asked for;
// docs/deploy/operations.md lists them. A limit that is not set is left out.
// Thread-safe.
class ServerMetrics final : public prometheus::Collectable {
 public:
  // `context` outlives it.
  explicit ServerMetrics(const service::Context& context) : context_(context) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const service::Context& context_;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_METRICS_SERVER_METRICS_H_
