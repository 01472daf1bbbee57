// Many threads save, derive, read, list and delete at once. Run it under
// ThreadSanitizer too.

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/store.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

using ::warmstart::testing::IsOk;
using ::warmstart::testing::StatusIs;

constexpr int kThreads = 8;

// What the threads know to be in the store. A checkpoint is in the model only
// while no thread is about to delete it: whoever deletes takes it out first.
class Model {
 public:
  void Add(const CheckpointName& name, const Tensors& tensors)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    checkpoints_[name] = tensors;
  }

  using Row = std::pair<CheckpointName, Tensors>;

  std::optional<Row> Any(std::mt19937& random) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return Pick(random);
  }

  std::optional<Row> TakeAny(std::mt19937& random) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    std::optional<Row> row = Pick(random);
    if (row.has_value()) checkpoints_.erase(row->first);
    return row;
  }

  std::map<CheckpointName, Tensors> All() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return checkpoints_;
  }

 private:
  std::optional<Row> Pick(std::mt19937& random)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (checkpoints_.empty()) return std::nullopt;
    auto it = checkpoints_.begin();
    std::advance(it, random() % checkpoints_.size());
    return *it;
  }

  absl::Mutex mutex_;
  std::map<CheckpointName, Tensors> checkpoints_ ABSL_GUARDED_BY(mutex_);
};

class StoreConcurrencyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, OpenStore(dir_.path()));
  }

  static void RunThreads(const std::function<void(int)>& body) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back(body, i);
    for (std::thread& thread : threads) thread.join();
  }

  // One to three of twenty tensors, so that threads meet on the same ones. Some
  // go into the catalog, some into packs, and some come both ways.
  static Tensors RandomTensors(std::mt19937& random) {
    Tensors tensors;
    const int count = 1 + random() % 3;
    for (int i = 0; i < count; ++i) {
      const uint32_t seed = random() % 20;
      tensors.emplace_back(absl::StrCat("t", i),
                           RandomBytes(100 + 9000 * seed, seed));
    }
    return tensors;
  }

  testing::TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreConcurrencyTest, NothingThatIsReferencedIsEverLost) {
  Model model;
  std::atomic<int> num_saved = 0;
  std::atomic<int> num_deleted = 0;
  RunThreads([&](int thread) {
    std::mt19937 random(thread);
    for (int i = 0; i < 60; ++i) {
      const int choice = random() % 10;
      if (choice < 4) {
        const Tensors tensors = RandomTensors(random);
        const auto saved = Save(*store_, tensors);
        ASSERT_THAT(saved, IsOk());
        model.Add(saved->name, tensors);
        ++num_saved;
      } else if (choice < 6) {
        // The source may be deleted meanwhile; then, and only then, it fails.
        const auto source = model.Any(random);
        if (!source.has_value()) continue;
        const auto derived = SaveReferences(*store_, source->second);
        if (!derived.ok()) {
          ASSERT_THAT(derived, StatusIs(absl::StatusCode::kAborted));
          continue;
        }
        ASSERT_OK(CheckReadable(*store_, derived->name, source->second));
        model.Add(derived->name, source->second);
      } else if (choice < 8) {
        const auto victim = model.TakeAny(random);
        if (!victim.has_value()) continue;
        ASSERT_OK(store_->DeleteCheckpoint(victim->first, false));
        ++num_deleted;
      } else if (choice < 9) {
        ASSERT_OK(store_->ListCheckpoints({.page_size = 5}).status());
      } else {
        const auto row = model.Any(random);
        if (!row.has_value()) continue;
        const absl::Status status =
            CheckReadable(*store_, row->first, row->second);
        if (!status.ok()) {
          ASSERT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
        }
      }
    }
  });
  EXPECT_GT(num_saved, 50);
  EXPECT_GT(num_deleted, 20);
  for (const auto& [name, tensors] : model.All()) {
    EXPECT_OK(CheckReadable(*store_, name, tensors));
  }
  EXPECT_EQ(store_->ListCheckpoints({.page_size = 1000})->checkpoints.size(),
            model.All().size());
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(StoreConcurrencyTest, TheSameTensorsSavedAtOnceAreStoredOnce) {
  const Tensors tensors = {{"w", RandomBytes(200'000, 1)}};
  RunThreads([&](int) {
    const auto saved = Save(*store_, tensors);
    ASSERT_THAT(saved, IsOk());
    EXPECT_OK(CheckReadable(*store_, saved->name, tensors));
  });
  EXPECT_EQ(PackBytes(dir_.path()), 200'000);
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(StoreConcurrencyTest, TheSameRequestSentAtOnceMakesOneCheckpoint) {
  std::vector<CheckpointName> names(kThreads);
  RunThreads([&](int thread) {
    const auto saved = Save(*store_, {{"w", RandomBytes(200'000, thread)}},
                            {.request_id = "r"});
    ASSERT_THAT(saved, IsOk());
    names[thread] = saved->name;
  });
  EXPECT_THAT(names, ::testing::Each(names[0]));
  EXPECT_EQ(PackBytes(dir_.path()), 200'000);
  EXPECT_OK(CheckDisk(dir_.path()));
}

TEST_F(StoreConcurrencyTest, ReadingAnAliasWhileItMovesFindsOneOfItsTargets) {
  ASSERT_OK_AND_ASSIGN(const Checkpoint a,
                       Save(*store_, {{"w", "a"}}, {.alias = MakeAlias("x")}));
  ASSERT_OK_AND_ASSIGN(const Checkpoint b, Save(*store_, {{"w", "b"}}));
  RunThreads([&](int thread) {
    for (int i = 0; i < 30; ++i) {
      if (thread == 0) {
        const CheckpointName& target = i % 2 == 0 ? b.name : a.name;
        ASSERT_OK(store_->SetAlias(MakeAlias("x"), target).status());
      } else {
        EXPECT_THAT(store_->Resolve("aliases/x"),
                    testing::IsOkAndHolds(::testing::AnyOf(a.name, b.name)));
      }
    }
  });
}

}  // namespace
}  // namespace warmstart::store
