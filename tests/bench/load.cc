// Clients of a server, all at once:
//   build/bin/load SERVER CLIENTS ROUNDS STEP...
// In each of the rounds, which the clients share out among themselves, a client
// takes the steps (load_client.h) one after another. Prints, as JSON, how long
// it took and of each step how often it was taken and its latencies; of the
// first errors, what they were. Exits with 1 where there was any.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/barrier.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/bench/load_client.h"

namespace warmstart::bench {
namespace {

// Nothing here takes seconds, unless it hangs.
constexpr absl::Duration kTimeout = absl::Minutes(1);
constexpr int kMaxErrorsTold = 10;

struct Plan {
  std::string server;
  int num_clients = 0;
  int64_t num_rounds = 0;
  std::vector<Step> steps;
};

// Of one client.
struct Account {
  std::map<Step, std::vector<double>> milliseconds;
  std::vector<std::string> errors;
};

class Load {
 public:
  explicit Load(const Plan& plan)
      : plan_(plan),
        ready_(plan.num_clients + 1),
        accounts_(plan.num_clients) {}

  void Run() {
    std::vector<std::thread> clients;
    for (int i = 0; i < plan_.num_clients; ++i) {
      clients.emplace_back([this, i] { Serve(i); });
    }
    ready_.Block();
    const absl::Time start = absl::Now();
    for (std::thread& client : clients) client.join();
    elapsed_ = absl::Now() - start;
  }

  // The number of errors.
  size_t Tell() const;

 private:
  void Serve(int number) {
    // Others each time, or the store would have them already.
    const uint64_t seed = absl::ToUnixNanos(absl::Now()) + number;
    LoadClient client(plan_.server, seed, kTimeout);
    ready_.Block();
    while (next_round_++ < plan_.num_rounds) {
      if (!RunRound(client, accounts_[number])) {
        client.Run(Step::kDelete).IgnoreError();
      }
    }
  }

  // False where a step failed, and the rest was left out.
  bool RunRound(LoadClient& client, Account& account) {
    for (const Step step : plan_.steps) {
      const absl::Time start = absl::Now();
      const absl::Status status = client.Run(step);
      account.milliseconds[step].push_back(
          absl::ToDoubleMilliseconds(absl::Now() - start));
      if (!status.ok()) {
        account.errors.push_back(
            absl::StrCat(StepName(step), ": ", status.ToString()));
        return false;
      }
    }
    return true;
  }

  const Plan& plan_;
  absl::Barrier ready_;
  std::vector<Account> accounts_;
  std::atomic<int64_t> next_round_ = 0;
  absl::Duration elapsed_;
};

// `part` of the sorted values are at most this.
double Quantile(const std::vector<double>& sorted, double part) {
  return sorted[static_cast<size_t>(part * (sorted.size() - 1))];
}

std::string LatenciesJson(Step step, std::vector<double> milliseconds) {
  std::sort(milliseconds.begin(), milliseconds.end());
  return absl::StrFormat(
      R"("%s": {"count": %d, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f})",
      StepName(step), milliseconds.size(), Quantile(milliseconds, 0.5),
      Quantile(milliseconds, 0.99), milliseconds.back());
}

size_t Load::Tell() const {
  std::map<Step, std::vector<double>> all;
  std::vector<std::string> errors;
  for (const Account& account : accounts_) {
    for (const auto& [step, milliseconds] : account.milliseconds) {
      all[step].insert(all[step].end(), milliseconds.begin(),
                       milliseconds.end());
    }
    errors.insert(errors.end(), account.errors.begin(), account.errors.end());
  }
  for (size_t i = 0; i < errors.size() && i < kMaxErrorsTold; ++i) {
    absl::FPrintF(stderr, "load: %s\n", errors[i]);
  }
  std::vector<std::string> steps;
  for (auto& [step, milliseconds] : all) {
    steps.push_back(LatenciesJson(step, std::move(milliseconds)));
  }
  absl::PrintF("{\"seconds\": %.3f, \"errors\": %d, \"steps\": {%s}}\n",
               absl::ToDoubleSeconds(elapsed_), errors.size(),
               absl::StrJoin(steps, ", "));
  return errors.size();
}

bool Parse(int argc, char** argv, Plan& plan) {
  if (argc < 5 || !absl::SimpleAtoi(argv[2], &plan.num_clients) ||
      plan.num_clients < 1 || !absl::SimpleAtoi(argv[3], &plan.num_rounds)) {
    return false;
  }
  plan.server = argv[1];
  for (int i = 4; i < argc; ++i) {
    const std::optional<Step> step = FindStep(argv[i]);
    if (!step.has_value()) return false;
    plan.steps.push_back(*step);
  }
  return true;
}

int Main(int argc, char** argv) {
  Plan plan;
  if (!Parse(argc, argv, plan)) {
    std::fprintf(stderr, "Usage: load SERVER CLIENTS ROUNDS STEP...\n");
    return 2;
  }
  Load load(plan);
  load.Run();
  return load.Tell() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace warmstart::bench

int main(int argc, char** argv) { return warmstart::bench::Main(argc, argv); }
