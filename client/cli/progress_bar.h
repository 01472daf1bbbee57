// ProgressBar: how far a transfer is, on the last line of a terminal.

#ifndef WARMSTART_CLIENT_CLI_PROGRESS_BAR_H_
#define WARMSTART_CLIENT_CLI_PROGRESS_BAR_H_

#include <functional>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/cli/console.h"
#include "client/cpp/options.h"

namespace warmstart::client {

// Draws nothing where standard error is no terminal, nor for a transfer of less
// than half a second. Takes its line away when it goes.
class ProgressBar {
 public:
  using Clock = std::function<absl::Time()>;

  ProgressBar(Console& console, std::string label, Clock clock = absl::Now);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void Update(const Progress& progress);

  // Calls Update. The bar must outlive it.
  ProgressCallback callback();

 private:
  Console& console_;
  const std::string label_;
  const Clock clock_;
  const absl::Time start_;
  absl::Time last_drawn_ = absl::InfinitePast();
  bool drawn_ = false;
};

// The line: label, bar, part, sizes, rate and the time that it will take yet.
std::string ProgressLine(const std::string& label, const Progress& progress,
                         absl::Duration elapsed, int width);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_PROGRESS_BAR_H_
