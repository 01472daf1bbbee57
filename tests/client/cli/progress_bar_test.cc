#include "client/cli/progress_bar.h"

#include <sstream>

#include "client/cli/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kMiB = 1 << 20;

class ProgressBarTest : public ::testing::Test {
 protected:
  ProgressBar::Clock clock() {
    return [this] { return now_; };
  }

  std::ostringstream out_;
  std::ostringstream err_;
  Console console_{.out = out_, .err = err_, .err_is_terminal = true};
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
};

TEST_F(ProgressBarTest, LineHasPartSizesRateAndTimeLeft) {
  EXPECT_EQ(ProgressLine("saving",
                         {.bytes_done = 25 * kMiB, .bytes_total = 100 * kMiB},
                         absl::Seconds(2), 80),
            "saving [#####                  ]  25% 25.0 MiB of 100.0 MiB  12.5 "
            "MiB/s  eta 6s");
  EXPECT_THAT(ProgressLine("saving", {.bytes_done = kMiB, .bytes_total = kMiB},
                           absl::Seconds(1), 80),
              HasSubstr("waiting for the server"));
}

TEST_F(ProgressBarTest, LineFitsTheTerminal) {
  for (int width = 1; width < 200; ++width) {
    EXPECT_LT(DisplayWidth(ProgressLine("downloading",
                                        {.bytes_done = 3, .bytes_total = 1000},
                                        absl::Seconds(1), width)),
              width);
  }
}

TEST_F(ProgressBarTest, ShortTransfersDrawNothing) {
  {
    ProgressBar bar(console_, "saving", clock());
    now_ += absl::Milliseconds(400);
    bar.Update({.bytes_done = 1, .bytes_total = 2});
    bar.Update({.bytes_done = 2, .bytes_total = 2});
  }
  EXPECT_EQ(err_.str(), "");
}

TEST_F(ProgressBarTest, PipesGetNothing) {
  console_.err_is_terminal = false;
  ProgressBar bar(console_, "saving", clock());
  now_ += absl::Seconds(10);
  bar.Update({.bytes_done = 1, .bytes_total = 2});
  EXPECT_EQ(err_.str(), "");
}

TEST_F(ProgressBarTest, LongTransfersAreDrawnNowAndThenAndCleared) {
  {
    ProgressBar bar(console_, "saving", clock());
    now_ += absl::Seconds(1);
    bar.Update({.bytes_done = 1, .bytes_total = 4});
    now_ += absl::Milliseconds(10);
    bar.Update({.bytes_done = 2, .bytes_total = 4});  // too soon
    now_ += absl::Milliseconds(200);
    bar.callback()({.bytes_done = 3, .bytes_total = 4});
  }
  EXPECT_THAT(err_.str(), HasSubstr(" 25% "));
  EXPECT_THAT(err_.str(), Not(HasSubstr(" 50% ")));
  EXPECT_THAT(err_.str(), HasSubstr(" 75% "));
  EXPECT_THAT(err_.str(), EndsWith("\r\x1b[K"));
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ProgressBarTest, EmptyTransferIsComplete) {
  EXPECT_THAT(ProgressLine("saving", {}, absl::ZeroDuration(), 80),
              HasSubstr("100%"));
}

}  // namespace
}  // namespace warmstart::client
