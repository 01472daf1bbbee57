// A store beside a simple model of it in memory. Checkpoints that share tensors
// are saved, derived, deleted, named and read at random, and what deletions
// leave is collected with thresholds at random: no tensor that a checkpoint
// references is ever lost, and none stays that nobody does.
//
// WARMSTART_MODEL_STEPS and WARMSTART_MODEL_SEED make it longer, and other;
// `make test-model` does.

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/status_macros.h"
#include "server/store/local/paths.h"
#include "server/store/store.h"
#include "tests/store/model/account.h"
#include "tests/store/model/tensor_pool.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::store {
namespace {

constexpr int64_t kFewSteps = 3'000;
constexpr uint32_t kSeed = 20'240'501;
constexpr int kThreads = 4;
// How often the whole store is looked at, from outside, too.
constexpr int64_t kStepsBetweenChecks = 500;

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* const text = std::getenv(name);
  int64_t value = otherwise;
  if (text != nullptr && !absl::SimpleAtoi(text, &value)) {
    ADD_FAILURE() << name << "=" << text << " is no number";
  }
  return value;
}

// A folder in memory where there is such: syncs of a disk are most of the time.
std::string FastFolder() {
  return std::filesystem::is_directory("/dev/shm")
             ? "/dev/shm"
             : std::filesystem::temp_directory_path().string();
}

// What collections did, all together.
struct Collected {
  int64_t num_rewritten = 0;
  int64_t num_merged = 0;
  int64_t num_over_budget = 0;

  void Add(const Collection& collection) {
    num_rewritten += collection.num_rewritten;
    num_merged += collection.num_merged;
    num_over_budget += collection.num_over_budget;
  }
};

CollectOptions RandomOptions(std::mt19937& random) {
  constexpr double kShares[] = {0, 0.25, 0.5, 0.75, 1};
  constexpr int64_t kSmall[] = {0, 100'000, 300'000, int64_t{4} << 20};
  CollectOptions options;
  options.dry_run = random() % 8 == 0;
  options.min_live_share = kShares[random() % std::size(kShares)];
  options.merge_below_bytes = kSmall[random() % std::size(kSmall)];
  if (random() % 4 == 0) options.max_written_bytes = random() % 1'000'000;
  return options;
}

// Nothing may be damaged, and nothing stray: no disk fails here.
absl::Status CollectAtRandom(Store& store, std::mt19937& random,
                             Collected& collected) {
  const CollectOptions options = RandomOptions(random);
  ASSIGN_OR_RETURN(const Collection collection, store.CollectGarbage(options));
  if (collection.num_damaged > 0) {
    return absl::DataLossError("a collection found damage");
  }
  if (!options.dry_run) collected.Add(collection);
  return absl::OkStatus();
}

class StoreModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, OpenStore(dir_.path()));
  }

  // Whether the store, alone, holds what the accounts have together.
  absl::Status CheckWhole(std::vector<Account>& accounts) {
    size_t num_checkpoints = 0;
    for (Account& account : accounts) {
      RETURN_IF_ERROR(account.Check(*store_));
      num_checkpoints += account.num_checkpoints();
    }
    ASSIGN_OR_RETURN(const CheckpointPage page,
                     store_->ListCheckpoints({.page_size = 1000}));
    if (page.checkpoints.size() != num_checkpoints) {
      return absl::DataLossError(absl::StrCat(
          page.checkpoints.size(), " checkpoints, of ", num_checkpoints));
    }
    for (size_t tensor = 0; tensor < pool_.size(); ++tensor) {
      RETURN_IF_ERROR(CheckIsThere(tensor, accounts));
    }
    return CheckDisk(dir_.path());
  }

  absl::Status CheckIsThere(size_t tensor,
                            const std::vector<Account>& accounts) {
    const bool expected =
        std::any_of(accounts.begin(), accounts.end(),
                    [&](const Account& each) { return each.Has(tensor); });
    const absl::Status found =
        store_->GetBlob(pool_[tensor].blob.digest).status();
    if (expected ? found.ok() : absl::IsNotFound(found)) {
      return absl::OkStatus();
    }
    return absl::DataLossError(absl::StrCat("a tensor that ",
                                            expected ? "is" : "is not",
                                            " referenced: ", found.ToString()));
  }

  // All that one thread does to a store, and its opening anew.
  absl::Status StepOfOne(std::vector<Account>& accounts) {
    Account& account = accounts[0];
    const uint32_t choice = account.random()() % 1'000;
    if (choice < 60) {
      RETURN_IF_ERROR(CollectAtRandom(*store_, account.random(), collected_));
    } else if (choice < 62) {
      store_.reset();
      ASSIGN_OR_RETURN(store_, OpenStore(dir_.path()));
    } else {
      RETURN_IF_ERROR(account.Step(*store_));
    }
    return CheckIsThere(account.random()() % pool_.size(), accounts);
  }

  const TensorPool pool_;
  const int64_t num_steps_ =
      FromEnvironment("WARMSTART_MODEL_STEPS", kFewSteps);
  const uint32_t seed_ =
      static_cast<uint32_t>(FromEnvironment("WARMSTART_MODEL_SEED", kSeed));
  const testing::TempDir dir_{FastFolder()};
  std::unique_ptr<Store> store_;
  Collected collected_;
};

TEST_F(StoreModelTest, AStoreHoldsWhatItsModelDoesAfterEachStep) {
  std::vector<Account> accounts;
  accounts.emplace_back(pool_, "only", seed_);
  const absl::Time start = absl::Now();
  for (int64_t step = 0; step < num_steps_; ++step) {
    ASSERT_OK(StepOfOne(accounts)) << "step " << step << ", seed " << seed_;
    if (step % kStepsBetweenChecks == 0) {
      ASSERT_OK(CheckWhole(accounts)) << "step " << step << ", seed " << seed_;
    }
  }
  ASSERT_OK(CheckWhole(accounts)) << "seed " << seed_;
  // Else it shows nothing.
  EXPECT_GT(collected_.num_rewritten, num_steps_ / 200);
  EXPECT_GT(collected_.num_merged, num_steps_ / 200);
  EXPECT_GT(collected_.num_over_budget, num_steps_ / 1'000);
  RecordProperty("seed", absl::StrCat(seed_));
  std::cout << num_steps_ << " steps, seed " << seed_ << ", "
            << absl::Now() - start << ": " << collected_.num_rewritten
            << " packs rewritten, " << collected_.num_merged << " merged\n";
}

// Who owns a checkpoint must find it as it was, whatever others delete and
// however tensors are moved meanwhile; and deriving from it must never fail.
TEST_F(StoreModelTest, NobodyLosesAnythingWhileOthersDeleteAndCollect) {
  std::vector<Account> accounts;
  for (int i = 0; i < kThreads; ++i) {
    accounts.emplace_back(pool_, absl::StrCat("account-", i), seed_ + i);
  }
  const absl::Time start = absl::Now();
  std::atomic<int> num_working = kThreads;
  std::atomic<bool> has_failed = false;
  const auto check = [&](const absl::Status& status) {
    EXPECT_OK(status) << "seed " << seed_;
    if (!status.ok()) has_failed = true;
  };
  std::vector<std::thread> threads;
  for (Account& account : accounts) {
    threads.emplace_back([&] {
      for (int64_t i = 0; i < num_steps_ / kThreads && !has_failed; ++i) {
        check(account.Step(*store_));
      }
      --num_working;
    });
  }
  threads.emplace_back([&] {
    std::mt19937 random(seed_ - 1);
    while (num_working > 0 && !has_failed) {
      check(CollectAtRandom(*store_, random, collected_));
    }
  });
  for (std::thread& thread : threads) thread.join();

  ASSERT_OK(CheckWhole(accounts)) << "seed " << seed_;
  EXPECT_GT(collected_.num_rewritten + collected_.num_merged, 20);
  std::cout << num_steps_ << " steps of " << kThreads << " threads, seed "
            << seed_ << ", " << absl::Now() - start << ": "
            << collected_.num_rewritten << " packs rewritten, "
            << collected_.num_merged << " merged\n";
}

}  // namespace
}  // namespace warmstart::store
