#include "server/service/resident_models.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;
using Lease = ResidentModels::Lease;

// A model that is nothing but its size.
class FakeModel : public backend::RunnableModel {
 public:
  explicit FakeModel(int64_t num_bytes) : num_bytes_(num_bytes) { ++alive; }
  ~FakeModel() override { --alive; }

  const backend::Device& device() const override { return device_; }
  int64_t num_bytes() const override { return num_bytes_; }
  absl::StatusOr<std::vector<backend::ModelOutput>> Forward(
      absl::Span<const backend::ModelInput>, int64_t) const override {
    return std::vector<backend::ModelOutput>();
  }

  static inline std::atomic<int> alive = 0;

 private:
  const backend::Device device_;
  const int64_t num_bytes_;
};

ResidentModels::Key KeyOf(const std::string& id, int64_t version = 1) {
  return {CheckpointName::Parse("checkpoints/" + id).value(),
          ArchitectureName::Parse("Net").value().WithVersion(version),
          backend::Device{}};
}

ResidentModels::LimitOf LimitTo(int64_t bytes) {
  return [bytes](const backend::Device&) { return bytes; };
}

// Asks for a model of 10 bytes.
absl::StatusOr<Lease> Get(ResidentModels& models,
                          const ResidentModels::Key& key) {
  return models.Get(key, 10, []() -> absl::StatusOr<ResidentModels::Model> {
    return std::make_shared<FakeModel>(10);
  });
}

// Uses it and gives it back; whether it was resident.
bool Use(ResidentModels& models, const ResidentModels::Key& key) {
  absl::StatusOr<Lease> lease = Get(models, key);
  EXPECT_OK(lease.status());
  return lease.ok() && lease->was_resident();
}

std::vector<std::string> ResidentIn(ResidentModels& models) {
  std::vector<std::string> ids;
  for (const auto& resident : models.StateOf(backend::Device{}).models) {
    ids.push_back(resident.key.checkpoint.id());
  }
  return ids;
}

TEST(ResidentModelsTest, TheSecondUseLoadsNothing) {
  ResidentModels models(LimitTo(100));
  EXPECT_FALSE(Use(models, KeyOf("a")));
  EXPECT_TRUE(Use(models, KeyOf("a")));
  const ResidentModels::DeviceState state = models.StateOf(backend::Device{});
  EXPECT_EQ(state.limit_bytes, 100);
  EXPECT_EQ(state.num_bytes, 10);
  EXPECT_EQ(state.num_hits, 1);
  EXPECT_EQ(state.num_misses, 1);
  EXPECT_EQ(state.num_evictions, 0);
  ASSERT_EQ(state.models.size(), 1);
  EXPECT_EQ(state.models[0].num_uses, 0);
}

TEST(ResidentModelsTest, TheOneUnusedForTheLongestTimeLeavesFirst) {
  ResidentModels models(LimitTo(20));
  Use(models, KeyOf("a"));
  Use(models, KeyOf("b"));
  Use(models, KeyOf("a"));
  Use(models, KeyOf("c"));
  EXPECT_THAT(ResidentIn(models), ElementsAre("c", "a"));
  EXPECT_EQ(models.StateOf(backend::Device{}).num_evictions, 1);
}

TEST(ResidentModelsTest, RoomIsMadeBeforeTheLoad) {
  ResidentModels models(LimitTo(10));
  Use(models, KeyOf("a"));
  int alive = -1;
  EXPECT_OK(models.Get(KeyOf("b"), 10, [&] {
    alive = FakeModel::alive;
    return absl::StatusOr<ResidentModels::Model>(
        std::make_shared<FakeModel>(10));
  }));
  EXPECT_EQ(alive, 0);
}

TEST(ResidentModelsTest, WhatIsInUseStaysBeyondTheLimit) {
  ResidentModels models(LimitTo(10));
  {
    ASSERT_OK_AND_ASSIGN(const Lease a, Get(models, KeyOf("a")));
    ASSERT_OK_AND_ASSIGN(const Lease b, Get(models, KeyOf("b")));
    EXPECT_THAT(ResidentIn(models), ElementsAre("b", "a"));
    EXPECT_EQ(models.StateOf(backend::Device{}).num_bytes, 20);
    EXPECT_EQ(models.StateOf(backend::Device{}).models[0].num_uses, 1);
  }
  EXPECT_EQ(models.StateOf(backend::Device{}).num_bytes, 10);
}

TEST(ResidentModelsTest, ALimitOfNothingKeepsNothing) {
  ResidentModels models(LimitTo(0));
  EXPECT_FALSE(Use(models, KeyOf("a")));
  EXPECT_FALSE(Use(models, KeyOf("a")));
  EXPECT_THAT(ResidentIn(models), IsEmpty());
  EXPECT_EQ(FakeModel::alive, 0);
}

TEST(ResidentModelsTest, AFailedLoadLeavesNothingAndIsTriedByTheNext) {
  ResidentModels models(LimitTo(100));
  EXPECT_THAT(
      models.Get(KeyOf("a"), 10,
                 []() -> absl::StatusOr<ResidentModels::Model> {
                   return absl::FailedPreconditionError("no such tensors");
                 }),
      StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(ResidentIn(models), IsEmpty());
  EXPECT_EQ(models.StateOf(backend::Device{}).num_bytes, 0);
  EXPECT_FALSE(Use(models, KeyOf("a")));
}

TEST(ResidentModelsTest, ALoadThatThrowsKeepsNobodyWaiting) {
  ResidentModels models(LimitTo(100));
  EXPECT_THROW(models
                   .Get(KeyOf("a"), 10,
                        []() -> absl::StatusOr<ResidentModels::Model> {
                          throw std::bad_alloc();
                        })
                   .IgnoreError(),
               std::bad_alloc);
  EXPECT_FALSE(Use(models, KeyOf("a")));
}

TEST(ResidentModelsTest, WithoutMemoryTheIdleLeaveAndTheLoadIsTriedOnce) {
  ResidentModels models(LimitTo(100));
  Use(models, KeyOf("idle"));
  ASSERT_OK_AND_ASSIGN(const Lease used, Get(models, KeyOf("used")));
  int num_loads = 0;
  const auto load = [&]() -> absl::StatusOr<ResidentModels::Model> {
    if (++num_loads == 1) return absl::ResourceExhaustedError("full");
    return std::make_shared<FakeModel>(10);
  };
  EXPECT_OK(models.Get(KeyOf("new"), 10, load));
  EXPECT_EQ(num_loads, 2);
  EXPECT_THAT(ResidentIn(models), ElementsAre("new", "used"));
}

TEST(ResidentModelsTest, WhereNothingIsIdleAFullDeviceIsAnError) {
  ResidentModels models(LimitTo(100));
  int num_loads = 0;
  const auto full = [&]() -> absl::StatusOr<ResidentModels::Model> {
    ++num_loads;
    return absl::ResourceExhaustedError("full");
  };
  EXPECT_THAT(models.Get(KeyOf("a"), 10, full),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(num_loads, 1);
}

TEST(ResidentModelsTest, ADeletedCheckpointIsForgotten) {
  ResidentModels models(LimitTo(100));
  Use(models, KeyOf("a"));
  Use(models, KeyOf("b"));
  models.DropCheckpoint(KeyOf("a").checkpoint);
  EXPECT_THAT(ResidentIn(models), ElementsAre("b"));
  EXPECT_EQ(models.StateOf(backend::Device{}).num_evictions, 0);
}

TEST(ResidentModelsTest, ADeletedVersionIsForgottenAloneAndANameWhole) {
  ResidentModels models(LimitTo(100));
  Use(models, KeyOf("a", 1));
  Use(models, KeyOf("b", 2));
  Use(models, KeyOf("c", 3));
  models.DropArchitecture(KeyOf("b", 2).architecture);
  EXPECT_THAT(ResidentIn(models), ElementsAre("c", "a"));
  models.DropArchitecture(ArchitectureName::Parse("Net").value());
  EXPECT_THAT(ResidentIn(models), IsEmpty());
}

TEST(ResidentModelsTest, WhatIsDroppedInUseEndsWithItsUse) {
  ResidentModels models(LimitTo(100));
  {
    ASSERT_OK_AND_ASSIGN(const Lease lease, Get(models, KeyOf("a")));
    models.DropCheckpoint(KeyOf("a").checkpoint);
    EXPECT_EQ(lease.model().num_bytes(), 10);
    EXPECT_EQ(models.StateOf(backend::Device{}).num_bytes, 0);
  }
  EXPECT_EQ(FakeModel::alive, 0);
}

TEST(ResidentModelsTest, WhatIsDroppedWhileItLoadsIsNotKept) {
  ResidentModels models(LimitTo(100));
  EXPECT_OK(models.Get(KeyOf("a"), 10, [&] {
    models.DropCheckpoint(KeyOf("a").checkpoint);
    return absl::StatusOr<ResidentModels::Model>(
        std::make_shared<FakeModel>(10));
  }));
  EXPECT_THAT(ResidentIn(models), IsEmpty());
  EXPECT_EQ(models.StateOf(backend::Device{}).num_bytes, 0);
}

TEST(ResidentModelsTest, CallersThatComeDuringALoadWaitForIt) {
  ResidentModels models(LimitTo(100));
  std::atomic<int> num_loads = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const absl::StatusOr<Lease> lease = models.Get(KeyOf("a"), 10, [&] {
        ++num_loads;
        // Until the others have come.
        while (models.StateOf(backend::Device{}).models[0].num_uses < 8) {
          absl::SleepFor(absl::Milliseconds(1));
        }
        return absl::StatusOr<ResidentModels::Model>(
            std::make_shared<FakeModel>(10));
      });
      EXPECT_OK(lease.status());
      EXPECT_FALSE(lease->was_resident());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_loads, 1);
  EXPECT_EQ(models.StateOf(backend::Device{}).num_misses, 8);
}

TEST(ResidentModelsTest, ManyThreadsUseFewPlacesAndLeaveTheBooksInOrder) {
  constexpr int kThreads = 8;
  constexpr int kUses = 300;
  {
    ResidentModels models(LimitTo(30));
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&models, t] {
        for (int i = 0; i < kUses; ++i) {
          const ResidentModels::Key key = KeyOf(absl::StrCat((t + i * 7) % 6));
          Use(models, key);
          if (i % 50 == t) models.DropCheckpoint(key.checkpoint);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    const ResidentModels::DeviceState state = models.StateOf(backend::Device{});
    EXPECT_EQ(state.num_hits + state.num_misses, kThreads * kUses);
    EXPECT_LE(state.num_bytes, 30);
    EXPECT_EQ(state.num_bytes, 10 * static_cast<int64_t>(state.models.size()));
    EXPECT_EQ(FakeModel::alive, static_cast<int>(state.models.size()));
    for (const auto& model : state.models) EXPECT_EQ(model.num_uses, 0);
  }
  EXPECT_EQ(FakeModel::alive, 0);
}

}  // namespace
}  // namespace warmstart::service
