#include "server/rpc/metrics/metric_families.h"

namespace warmstart::rpc {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily GaugeFamily(const std::string& name, const std::string& help) {
  return {name, help, MetricType::Gauge, {}};
}

MetricFamily GaugeFamily(const std::string& name, const std::string& help,
                         double value) {
  MetricFamily family = GaugeFamily(name, help);
  AddValue(family, {}, value);
  return family;
}

MetricFamily CounterFamily(const std::string& name, const std::string& help) {
  return {name, help, MetricType::Counter, {}};
}

MetricFamily CounterFamily(const std::string& name, const std::string& help,
                           double value) {
  MetricFamily family = CounterFamily(name, help);
  AddValue(family, {}, value);
  return family;
}

void AddValue(MetricFamily& family, const MetricLabels& labels, double value) {
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  metric.label = labels;
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

}  // namespace warmstart::rpc
