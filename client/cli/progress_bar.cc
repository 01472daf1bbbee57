#include "client/cli/progress_bar.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/text.h"

namespace warmstart::client {
namespace {

constexpr absl::Duration kQuiet = absl::Milliseconds(500);
constexpr absl::Duration kInterval = absl::Milliseconds(100);
constexpr absl::string_view kClearLine = "\r\x1b[K";

std::string Bar(double fraction, int width) {
  const int filled = static_cast<int>(fraction * width);
  return absl::StrCat("[", std::string(filled, '#'),
                      std::string(width - filled, ' '), "]");
}

std::string Remaining(const Progress& progress, double rate) {
  if (progress.bytes_done >= progress.bytes_total) {
    return "waiting for the server";
  }
  if (rate <= 0) return "";
  const double seconds =
      static_cast<double>(progress.bytes_total - progress.bytes_done) / rate;
  return absl::StrCat("eta ", absl::FormatDuration(absl::Ceil(
                                  absl::Seconds(seconds), absl::Seconds(1))));
}

}  // namespace

std::string ProgressLine(const std::string& label, const Progress& progress,
                         absl::Duration elapsed, int width) {
  const double done = static_cast<double>(progress.bytes_done);
  const double fraction =
      progress.bytes_total == 0
          ? 1
          : std::clamp(done / static_cast<double>(progress.bytes_total), 0.,
                       1.);
  const double seconds = absl::ToDoubleSeconds(elapsed);
  const double rate = seconds > 0 ? done / seconds : 0;
  const std::string head = absl::StrCat(Printable(label), " ");
  const std::string tail = absl::StrFormat(
      " %3d%% %s of %s  %.1f MiB/s  %s", static_cast<int>(fraction * 100),
      FormatBytes(progress.bytes_done), FormatBytes(progress.bytes_total),
      rate / (1 << 20), Remaining(progress, rate));
  // The last column stays free, as a terminal may wrap there.
  const int room =
      width - 1 - static_cast<int>(DisplayWidth(head) + tail.size()) - 2;
  constexpr int kWidestBar = 30;
  constexpr int kNarrowestBar = 5;
  if (room < kNarrowestBar) return tail.substr(1, std::max(0, width - 1));
  return absl::StrCat(head, Bar(fraction, std::min(room, kWidestBar)), tail);
}

ProgressBar::ProgressBar(Console& console, std::string label, Clock clock)
    : console_(console),
      label_(std::move(label)),
      clock_(std::move(clock)),
      start_(clock_()) {}

ProgressBar::~ProgressBar() {
  if (drawn_) console_.err << kClearLine << std::flush;
}

void ProgressBar::Update(const Progress& progress) {
  if (!console_.err_is_terminal) return;
  const absl::Time now = clock_();
  const bool complete = progress.bytes_done == progress.bytes_total;
  if (now - start_ < kQuiet) return;
  if (now - last_drawn_ < kInterval && !complete) return;
  last_drawn_ = now;
  drawn_ = true;
  console_.err << kClearLine
               << ProgressLine(label_, progress, now - start_, console_.width)
               << std::flush;
}

ProgressCallback ProgressBar::callback() {
  return [this](const Progress& progress) { Update(progress); };
}

}  // namespace warmstart::client
