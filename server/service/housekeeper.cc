#include "server/service/housekeeper.h"

#include <exception>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace warmstart::service {
namespace {

// No exception ends the server.
absl::StatusOr<bool> Step(const Housekeeper::Chore& chore) {
  try {
    return chore.step();
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace

Housekeeper::Housekeeper(absl::Duration interval, std::vector<Chore> chores,
                         Log log)
    : interval_(interval),
      chores_(std::move(chores)),
      log_(std::move(log)),
      thread_([this] { Run(); }) {}

Housekeeper::~Housekeeper() {
  {
    absl::MutexLock lock(&mutex_);
    is_stopping_ = true;
  }
  thread_.join();
}

void Housekeeper::Run() {
  while (!is_stopping()) {
    for (const Chore& chore : chores_) Do(chore);
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&is_stopping_), interval_);
  }
}

void Housekeeper::Do(const Chore& chore) {
  while (!is_stopping()) {
    const absl::StatusOr<bool> has_more = Step(chore);
    if (!has_more.ok()) {
      log_(absl::StrCat(chore.name, ": ", has_more.status().message()));
    }
    if (!has_more.ok() || !*has_more) return;
  }
}

bool Housekeeper::is_stopping() {
  absl::MutexLock lock(&mutex_);
  return is_stopping_;
}

}  // namespace warmstart::service
