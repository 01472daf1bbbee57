// Metric families of values that are looked up when somebody asks for them.

#ifndef WARMSTART_SERVER_RPC_METRICS_METRIC_FAMILIES_H_
#define WARMSTART_SERVER_RPC_METRICS_METRIC_FAMILIES_H_

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

namespace warmstart::rpc {

using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// A family that has one value, or none yet, for AddGauge or AddCounter.
prometheus::MetricFamily GaugeFamily(const std::string& name,
                                     const std::string& help);
prometheus::MetricFamily GaugeFamily(const std::string& name,
                                     const std::string& help, double value);
prometheus::MetricFamily CounterFamily(const std::string& name,
                                       const std::string& help);
prometheus::MetricFamily CounterFamily(const std::string& name,
                                       const std::string& help, double value);

// A value more.
void AddValue(prometheus::MetricFamily& family, const MetricLabels& labels,
              double value);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_METRICS_METRIC_FAMILIES_H_
