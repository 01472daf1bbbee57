#include "server/service/housekeeper.h"

#include <exception>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace warmstart::service {
namespace {

// No exception ends the server.
absl::StatusOr<bool> Step(const Housekeeper::Chore& chore,
                          const Housekeeper::IsStopping& is_stopping) {
  try {
    return chore.step(is_stopping);
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace

Housekeeper::Housekeeper(std::vector<Chore> chores, Log log)
    : chores_(std::move(chores)), log_(std::move(log)) {
  for (const Chore& chore : chores_) {
    threads_.emplace_back([this, &chore] { Run(chore); });
  }
}

Housekeeper::~Housekeeper() {
  {
    absl::MutexLock lock(&mutex_);
    is_stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void Housekeeper::Run(const Chore& chore) {
  for (absl::Duration wait = chore.delay; Wait(wait); wait = chore.interval) {
    Do(chore);
  }
}

void Housekeeper::Do(const Chore& chore) {
  const IsStopping stopping = [this] { return is_stopping(); };
  while (!is_stopping()) {
    const absl::StatusOr<bool> has_more = Step(chore, stopping);
    // What was broken off because the server stops is no failure.
    if (!has_more.ok() && !is_stopping()) {
      log_(absl::StrCat(chore.name, ": ", has_more.status().message()));
    }
    if (!has_more.ok() || !*has_more) return;
  }
}

bool Housekeeper::Wait(absl::Duration time) {
  absl::MutexLock lock(&mutex_);
  return !mutex_.AwaitWithTimeout(absl::Condition(&is_stopping_), time);
}

bool Housekeeper::is_stopping() {
  absl::MutexLock lock(&mutex_);
  return is_stopping_;
}

}  // namespace warmstart::service
