#include "server/rpc/metrics/server_metrics.h"

#include <utility>

#include "absl/status/statusor.h"
#include "server/rpc/metrics/metric_families.h"
#include "server/service/server_info.h"

namespace warmstart::rpc {
namespace {

using prometheus::MetricFamily;

MetricFamily BuildInfo(const service::ServerInfo& info) {
  MetricFamily family =
      GaugeFamily("warmstart_build_info", "1, labelled with the versions.");
  AddValue(
      family,
      {{"version", WARMSTART_VERSION}, {"torch_version", info.torch_version}},
      1);
  return family;
}

void AddStore(const service::StoreStatus& store,
              std::vector<MetricFamily>& families) {
  families.push_back(GaugeFamily("warmstart_store_bytes",
                                 "Bytes that stored tensors take.",
                                 store.usage.stored_bytes));
  families.push_back(GaugeFamily("warmstart_store_receiving_bytes",
                                 "Bytes of saves in progress and of uploads.",
                                 store.usage.receiving_bytes));
  families.push_back(GaugeFamily("warmstart_checkpoints",
                                 "Checkpoints that are there.",
                                 store.usage.num_checkpoints));
  families.push_back(GaugeFamily(
      "warmstart_damaged_tensors",
      "Stored tensors in quarantine: their bytes are damaged or gone.",
      store.num_damaged));
  if (store.limits.max_bytes > 0) {
    families.push_back(GaugeFamily("warmstart_store_max_bytes",
                                   "What --max-store-bytes allows.",
                                   store.limits.max_bytes));
  }
  if (store.limits.max_checkpoints > 0) {
    families.push_back(GaugeFamily("warmstart_max_checkpoints",
                                   "What --max-checkpoints allows.",
                                   store.limits.max_checkpoints));
  }
}

void AddDevices(const std::vector<service::DeviceStatus>& devices,
                std::vector<MetricFamily>& families) {
  MetricFamily memory =
      GaugeFamily("warmstart_device_memory_bytes", "Memory of the device.");
  MetricFamily free_memory = GaugeFamily("warmstart_device_free_memory_bytes",
                                         "Memory of the device that is free.");
  MetricFamily models = GaugeFamily("warmstart_resident_models",
                                    "Models that are resident on the device.");
  MetricFamily bytes = GaugeFamily("warmstart_resident_bytes",
                                   "Bytes that resident models take there.");
  MetricFamily max_bytes = GaugeFamily("warmstart_resident_max_bytes",
                                       "What --resident-bytes allows.");
  MetricFamily hits =
      CounterFamily("warmstart_resident_hits_total",
                    "Calls of Forward that found their model resident.");
  MetricFamily misses =
      CounterFamily("warmstart_resident_misses_total",
                    "Calls of Forward that had to load their model.");
  MetricFamily evictions = CounterFamily("warmstart_resident_evictions_total",
                                         "Models that left for others.");
  for (const service::DeviceStatus& device : devices) {
    const MetricLabels labels = {{"device", device.name}};
    const service::ResidentModels::DeviceState& resident =
        device.resident_models;
    AddValue(memory, labels, device.memory_bytes);
    AddValue(free_memory, labels, device.free_memory_bytes);
    AddValue(models, labels, resident.models.size());
    AddValue(bytes, labels, resident.num_bytes);
    AddValue(max_bytes, labels, resident.limit_bytes);
    AddValue(hits, labels, resident.num_hits);
    AddValue(misses, labels, resident.num_misses);
    AddValue(evictions, labels, resident.num_evictions);
  }
  for (MetricFamily* family : {&memory, &free_memory, &models, &bytes,
                               &max_bytes, &hits, &misses, &evictions}) {
    families.push_back(std::move(*family));
  }
}

}  // namespace

std::vector<MetricFamily> ServerMetrics::Collect() const {
  const absl::StatusOr<service::ServerInfo> info =
      service::GetServerInfo(context_);
  std::vector<MetricFamily> families;
  // Whether the rest can be told: a catalog may be on a disk that is gone.
  families.push_back(GaugeFamily("warmstart_store_up",
                                 "1 where the catalog can be read, else 0.",
                                 info.ok() ? 1 : 0));
  if (!info.ok()) return families;
  families.push_back(BuildInfo(*info));
  AddStore(info->store, families);
  AddDevices(info->devices, families);
  return families;
}

}  // namespace warmstart::rpc
