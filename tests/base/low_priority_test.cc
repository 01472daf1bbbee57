#include "server/base/low_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>

#include "gtest/gtest.h"

namespace warmstart {
namespace {

int Niceness() {
  return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)));
}

TEST(LowPriorityTest, TheWorkIsNiceAndItsCallerStaysAsItWas) {
  const int before = Niceness();
  int inside = before;
  std::thread::id thread;
  RunAtLowPriority([&] {
    inside = Niceness();
    thread = std::this_thread::get_id();
  });
  EXPECT_EQ(inside, 19);
  EXPECT_NE(thread, std::this_thread::get_id());
  EXPECT_EQ(Niceness(), before);
}

TEST(LowPriorityTest, WhatTheWorkThrowsIsThrown) {
  EXPECT_THROW(RunAtLowPriority([] { throw std::runtime_error("no"); }),
               std::runtime_error);
}

}  // namespace
}  // namespace warmstart
