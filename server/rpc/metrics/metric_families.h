// Metric families of values that are looked up when somebody asks for them.

#ifndef WARMSTART_SERVER_RPC_METRICS_METRIC_FAMILIES_H_
#define WARMSTART_SERVER_RPC_METRICS_METRIC_FAMILIES_H_

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

namespace warmstart::rpc {

using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// A family without a value.
prometheus::MetricFamily GaugeFamily(const std::string& name,
                                     const std::string& help);
prometheus::MetricFamily CounterFamily(const std::string& name,
                                       const std::string& help);

// A value more.
void AddDouble(prometheus::MetricFamily& family, const MetricLabels& labels,
               double value);

// The same for any number. Prometheus has none but doubles: of integers beyond
// 2^53, the last digits are lost.
template <typename Number>
void AddValue(prometheus::MetricFamily& family, const MetricLabels& labels,
              Number value) {
  AddDouble(family, labels, static_cast<double>(value));
}
template <typename Number>
prometheus::MetricFamily GaugeFamily(const std::string& name,
                                     const std::string& help, Number value) {
  prometheus::MetricFamily family = GaugeFamily(name, help);
  AddValue(family, {}, value);
  return family;
}
template <typename Number>
prometheus::MetricFamily CounterFamily(const std::string& name,
                                       const std::string& help, Number value) {
  prometheus::MetricFamily family = CounterFamily(name, help);
  AddValue(family, {}, value);
  return family;
}

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_METRICS_METRIC_FAMILIES_H_
