#include "server/rpc/metrics/metric_families.h"

namespace warmstart::rpc {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily GaugeFamily(const std::string& name, const std::string& help) {
  return {name, help, MetricType::Gauge, {}};
}

MetricFamily CounterFamily(const std::string& name, const std::string& help) {
  return {name, help, MetricType::Counter, {}};
}

void AddDouble(MetricFamily& family, const MetricLabels& labels, double value) {
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  metric.label = labels;
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

}  // namespace warmstart::rpc
