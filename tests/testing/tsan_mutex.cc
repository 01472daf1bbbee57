// Makes absl::Mutex known to ThreadSanitizer. Debian's Abseil is not
// instrumented, so its locks would order nothing in the sanitizer's eyes, and
// all that they guard would look like a race.
//
// The definitions here take the place of those in libabsl_synchronization.so,
// for the whole process. The plain ones call it and tell the sanitizer. Those
// that wait for a condition poll for it: inside Abseil, the thread that unlocks
// evaluates the conditions of those that wait, where the sanitizer could not
// see whose lock it holds. Linked into tests of a ThreadSanitizer build alone.

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdlib>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace {

constexpr absl::Duration kPoll = absl::Microseconds(100);

// The function of this (mangled) name in Abseil's library.
template <typename F>
F* Real(const char* name) {
  void* function = dlsym(RTLD_NEXT, name);
  if (function == nullptr) std::abort();
  return reinterpret_cast<F*>(function);
}

}  // namespace

// Debian puts Abseil in an inline namespace of its own.
#define MUTEX_SYMBOL(name) "_ZN4absl7debian35Mutex" name
#define COND_VAR_SYMBOL(name) "_ZN4absl7debian37CondVar" name

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static auto* const real = Real<void(Mutex*)>(MUTEX_SYMBOL("4LockEv"));
  __tsan_mutex_pre_lock(this, 0);
  real(this);
  __tsan_mutex_post_lock(this, 0, 0);
}

void Mutex::Unlock() {
  static auto* const real = Real<void(Mutex*)>(MUTEX_SYMBOL("6UnlockEv"));
  __tsan_mutex_pre_unlock(this, 0);
  real(this);
  __tsan_mutex_post_unlock(this, 0);
}

bool Mutex::TryLock() {
  static auto* const real = Real<bool(Mutex*)>(MUTEX_SYMBOL("7TryLockEv"));
  __tsan_mutex_pre_lock(this, __tsan_mutex_try_lock);
  const bool locked = real(this);
  __tsan_mutex_post_lock(
      this, locked ? __tsan_mutex_try_lock : __tsan_mutex_try_lock_failed, 0);
  return locked;
}

void Mutex::ReaderLock() {
  static auto* const real = Real<void(Mutex*)>(MUTEX_SYMBOL("10ReaderLockEv"));
  __tsan_mutex_pre_lock(this, __tsan_mutex_read_lock);
  real(this);
  __tsan_mutex_post_lock(this, __tsan_mutex_read_lock, 0);
}

void Mutex::ReaderUnlock() {
  static auto* const real =
      Real<void(Mutex*)>(MUTEX_SYMBOL("12ReaderUnlockEv"));
  __tsan_mutex_pre_unlock(this, __tsan_mutex_read_lock);
  real(this);
  __tsan_mutex_post_unlock(this, __tsan_mutex_read_lock);
}

void Mutex::Await(const Condition& cond) {
  AwaitWithDeadline(cond, InfiniteFuture());
}

bool Mutex::AwaitWithTimeout(const Condition& cond, Duration timeout) {
  return AwaitWithDeadline(cond, Now() + timeout);
}

bool Mutex::AwaitWithDeadline(const Condition& cond, Time deadline) {
  while (!cond.Eval()) {
    if (Now() >= deadline) return false;
    Unlock();
    SleepFor(kPoll);
    Lock();
  }
  return true;
}

void Mutex::LockWhen(const Condition& cond) {
  Lock();
  Await(cond);
}

bool Mutex::LockWhenWithTimeout(const Condition& cond, Duration timeout) {
  return LockWhenWithDeadline(cond, Now() + timeout);
}

bool Mutex::LockWhenWithDeadline(const Condition& cond, Time deadline) {
  Lock();
  return AwaitWithDeadline(cond, deadline);
}

void Mutex::ReaderLockWhen(const Condition& cond) {
  for (;;) {
    ReaderLock();
    if (cond.Eval()) return;
    ReaderUnlock();
    SleepFor(kPoll);
  }
}

void CondVar::Wait(Mutex* mu) { WaitWithDeadline(mu, InfiniteFuture()); }

bool CondVar::WaitWithTimeout(Mutex* mu, Duration timeout) {
  return WaitWithDeadline(mu, Now() + timeout);
}

bool CondVar::WaitWithDeadline(Mutex* mu, Time deadline) {
  static auto* const real = Real<bool(CondVar*, Mutex*, Time)>(
      COND_VAR_SYMBOL("16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE"));
  __tsan_mutex_pre_unlock(mu, 0);
  __tsan_mutex_post_unlock(mu, 0);
  const bool timed_out = real(this, mu, deadline);
  __tsan_mutex_pre_lock(mu, 0);
  __tsan_mutex_post_lock(mu, 0, 0);
  return timed_out;
}

ABSL_NAMESPACE_END
}  // namespace absl
