// Housekeeper: what a server does by itself, in the background: chores, each at
// its own interval.

#ifndef WARMSTART_SERVER_SERVICE_HOUSEKEEPER_H_
#define WARMSTART_SERVER_SERVICE_HOUSEKEEPER_H_

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace warmstart::service {

class Housekeeper {
 public:
  // Whether the server stops, and what runs should end soon.
  using IsStopping = std::function<bool()>;
  struct Chore {
    std::string name;         // for the log
    absl::Duration delay;     // before it is done for the first time
    absl::Duration interval;  // from when it was done to the next time
    // Does some of the work, and tells whether there is more to do now.
    std::function<absl::StatusOr<bool>(const IsStopping&)> step;
  };
  using Log = std::function<void(const std::string&)>;

  // Each chore has a thread, so that none waits for another. One that fails is
  // told to `log`, and tried again the next time; `log` is thread-safe.
  Housekeeper(std::vector<Chore> chores, Log log);
  // Waits for the steps that run, and begins no other.
  ~Housekeeper();
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

 private:
  void Run(const Chore& chore) ABSL_LOCKS_EXCLUDED(mutex_);
  void Do(const Chore& chore) ABSL_LOCKS_EXCLUDED(mutex_);
  // False where the server stops meanwhile.
  bool Wait(absl::Duration time) ABSL_LOCKS_EXCLUDED(mutex_);
  bool is_stopping() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::vector<Chore> chores_;
  const Log log_;
  absl::Mutex mutex_;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // the last: they use all the others
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_HOUSEKEEPER_H_
