#include "tests/rpc/metrics/families.h"

#include <prometheus/metric_family.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace warmstart::rpc {
namespace {

double ValueOf(prometheus::MetricType type,
               const prometheus::ClientMetric& metric) {
  switch (type) {
    case prometheus::MetricType::Counter:
      return metric.counter.value;
    case prometheus::MetricType::Histogram:
      return static_cast<double>(metric.histogram.sample_count);
    default:
      return metric.gauge.value;
  }
}

}  // namespace

std::map<std::string, double> ValuesOf(const prometheus::Collectable& source) {
  std::map<std::string, double> values;
  for (const prometheus::MetricFamily& family : source.Collect()) {
    for (const prometheus::ClientMetric& metric : family.metric) {
      std::vector<std::string> labels;
      labels.reserve(metric.label.size());
      for (const auto& label : metric.label) {
        labels.push_back(absl::StrCat(label.name, "=", label.value));
      }
      std::sort(labels.begin(), labels.end());
      std::string name = family.name;
      if (!labels.empty()) {
        absl::StrAppend(&name, "{", absl::StrJoin(labels, ","), "}");
      }
      values[name] = ValueOf(family.type, metric);
    }
  }
  return values;
}

}  // namespace warmstart::rpc
