// CallMetrics: counts the calls of a gRPC server, and measures how long they
// take.

#ifndef WARMSTART_SERVER_RPC_METRICS_CALL_METRICS_H_
#define WARMSTART_SERVER_RPC_METRICS_CALL_METRICS_H_

#include <grpcpp/support/server_interceptor.h>
#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <memory>
#include <vector>

namespace warmstart::rpc {

// The metrics have the names and labels of go-grpc-middleware's, which gRPC
// servers in Go, and dashboards, share:
//
//   grpc_server_started_total    grpc_type, grpc_service, grpc_method
//   grpc_server_handled_total    the same, grpc_code
//   grpc_server_handling_seconds a histogram, as started_total
//
// Methods that the server does not have count as one, "unknown", so that no
// client can make up labels. Thread-safe; outlives the servers that it counts
// for.
class CallMetrics final : public prometheus::Collectable {
 public:
  CallMetrics();

  // For ServerBuilder.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
  NewInterceptorFactory();

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  friend class CallInterceptor;

  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& started_;
  prometheus::Family<prometheus::Counter>& handled_;
  prometheus::Family<prometheus::Histogram>& handling_;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_METRICS_CALL_METRICS_H_
