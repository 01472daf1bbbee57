#include "client/cli/pages.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "warmstart/v1/checkpoints.pb.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::warmstart::testing::StatusIs;

// A list of ten aliases; the page token is the number of those before.
class PagesTest : public ::testing::Test {
 protected:
  absl::StatusOr<v1::ListAliasesResponse> Gather(int64_t limit, int max_page) {
    return GatherPages<v1::ListAliasesResponse>(
        v1::ListAliasesRequest(), limit, max_page,
        [this](const v1::ListAliasesRequest& request) { return Page(request); },
        [](const auto& pages) { return pages.aliases_size(); });
  }

  absl::StatusOr<v1::ListAliasesResponse> Page(
      const v1::ListAliasesRequest& request) {
    sizes_.push_back(request.page_size());
    if (!status_.ok() && sizes_.size() > 1) return status_;
    v1::ListAliasesResponse page;
    int i = request.page_token().empty() ? 0 : std::stoi(request.page_token());
    for (int n = 0; n < request.page_size() && i < 10; ++n, ++i) {
      page.add_aliases()->set_name(absl::StrCat(i));
    }
    if (i < 10) page.set_next_page_token(absl::StrCat(i));
    return page;
  }

  std::vector<int> sizes_;
  absl::Status status_;
};

TEST_F(PagesTest, AllPagesAreGathered) {
  ASSERT_OK_AND_ASSIGN(const v1::ListAliasesResponse all, Gather(0, 4));
  EXPECT_EQ(all.aliases_size(), 10);
  EXPECT_EQ(all.aliases(9).name(), "9");
  EXPECT_EQ(all.next_page_token(), "");
  EXPECT_THAT(sizes_, ElementsAre(4, 4, 4));
}

TEST_F(PagesTest, LimitEndsEarlyAndTellsThatThereAreMore) {
  ASSERT_OK_AND_ASSIGN(const v1::ListAliasesResponse some, Gather(6, 4));
  EXPECT_EQ(some.aliases_size(), 6);
  EXPECT_EQ(some.next_page_token(), "6");
  EXPECT_THAT(sizes_, ElementsAre(4, 2));
}

TEST_F(PagesTest, LimitBeyondTheEndIsAll) {
  ASSERT_OK_AND_ASSIGN(const v1::ListAliasesResponse all, Gather(50, 1000));
  EXPECT_EQ(all.aliases_size(), 10);
  EXPECT_THAT(sizes_, ElementsAre(50));
}

TEST_F(PagesTest, FailureOnTheWayIsTheResult) {
  status_ = absl::UnavailableError("lost");
  EXPECT_THAT(Gather(0, 4), StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace warmstart::client
