#include "server/rpc/metrics/server_metrics.h"

#include <filesystem>
#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/metrics/families.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::rpc {
namespace {

using ::testing::Contains;
using ::testing::Ge;
using ::testing::Gt;
using ::testing::IsSupersetOf;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

std::string SomeFile() {
  return service::MakeSafetensors({service::FloatTensor("w", {40'000}, 1)});
}

TEST(ServerMetricsTest, TheStoreAndItsDevicesAreTold) {
  service::World world;
  world.MustSave(SomeFile());
  const ServerMetrics metrics(world.context());
  const std::map<std::string, double> values = ValuesOf(metrics);
  EXPECT_THAT(values,
              IsSupersetOf(std::map<std::string, double>{
                  {"warmstart_store_up", 1},
                  {"warmstart_checkpoints", 1},
                  {"warmstart_store_receiving_bytes", 0},
                  {"warmstart_damaged_tensors", 0},
                  {"warmstart_resident_models{device=cpu}", 0},
                  {"warmstart_resident_bytes{device=cpu}", 0},
                  {"warmstart_resident_hits_total{device=cpu}", 0},
                  {"warmstart_resident_misses_total{device=cpu}", 0},
                  {"warmstart_resident_evictions_total{device=cpu}", 0}}));
  EXPECT_THAT(values, Contains(Pair("warmstart_store_bytes", Ge(160'000))));
  EXPECT_THAT(values, Contains(Pair("warmstart_device_memory_bytes{device=cpu}",
                                    Gt(0))));
  EXPECT_THAT(values, Contains(Pair(StartsWith("warmstart_build_info{"), 1)));
}

TEST(ServerMetricsTest, LimitsAreToldWhereThereAreSome) {
  service::World unlimited;
  EXPECT_THAT(ValuesOf(ServerMetrics(unlimited.context())),
              Not(Contains(Key(::testing::HasSubstr("store_max_bytes")))));
  service::World limited(store::StoreOptions{
      .limits = {.max_bytes = 1 << 20, .max_checkpoints = 7}});
  EXPECT_THAT(ValuesOf(ServerMetrics(limited.context())),
              IsSupersetOf(std::map<std::string, double>{
                  {"warmstart_store_max_bytes", 1 << 20},
                  {"warmstart_max_checkpoints", 7}}));
}

TEST(ServerMetricsTest, DamageIsCounted) {
  service::World world;
  world.MustSave(SomeFile());
  std::filesystem::remove(world.PackPath(world.Packs().at(0)));
  ASSERT_OK(world.store().Scrub(
      [](const store::ScrubProgress&) { return absl::OkStatus(); }));
  EXPECT_THAT(ValuesOf(ServerMetrics(world.context())),
              Contains(Pair("warmstart_damaged_tensors", 1)));
}

}  // namespace
}  // namespace warmstart::rpc
