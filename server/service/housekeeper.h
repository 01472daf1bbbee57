// Housekeeper: what a server does by itself, in the background: chores, at an
// interval.

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
  struct Chore {
    std::string name;  // for the log
    // Does a little, so that a server which stops need not wait for long, and
    // tells whether there is more to do now.
    std::function<absl::StatusOr<bool>()> step;
  };
  using Log = std::function<void(const std::string&)>;

  // Begins at once, and again `interval` after all chores were done. A chore
  // that fails is told to `log`, and tried again the next time.
  Housekeeper(absl::Duration interval, std::vector<Chore> chores, Log log);
  // Waits for the step that runs, if one does, and begins no other.
  ~Housekeeper();
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  void Do(const Chore& chore) ABSL_LOCKS_EXCLUDED(mutex_);
  bool is_stopping() ABSL_LOCKS_EXCLUDED(mutex_);

  const absl::Duration interval_;
  const std::vector<Chore> chores_;
  const Log log_;
  absl::Mutex mutex_;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // the last to be made: it uses all the others
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_HOUSEKEEPER_H_
