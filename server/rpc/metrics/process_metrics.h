// ProcessMetrics: the metrics that Prometheus' client libraries have of the
// process they are in, from /proc.

#ifndef WARMSTART_SERVER_RPC_METRICS_PROCESS_METRICS_H_
#define WARMSTART_SERVER_RPC_METRICS_PROCESS_METRICS_H_

#include <prometheus/collectable.h>

#include <vector>

namespace warmstart::rpc {

// process_cpu_seconds_total, process_resident_memory_bytes,
// process_virtual_memory_bytes, process_start_time_seconds, process_open_fds,
// process_max_fds and process_threads; what cannot be read is left out.
// Thread-safe.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_METRICS_PROCESS_METRICS_H_
