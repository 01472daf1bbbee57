#include "server/rpc/metrics/metrics_endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/rpc/metrics/metric_families.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::rpc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

class OneMetric final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override {
    prometheus::MetricFamily family = CounterFamily("apples_total", "Apples.");
    AddValue(family, {{"color", "red"}}, 3);
    return {family, GaugeFamily("pears", "Pears.", 2)};
  }
};

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(
    const std::string& address) {
  return MetricsEndpoint::Start(address, {std::make_shared<OneMetric>()});
}

// All that a server on this machine answers to a GET.
std::string Get(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return "";
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
            0);
  const std::string request = absl::StrCat("GET ", path, " HTTP/1.0\r\n\r\n");
  EXPECT_EQ(write(fd, request.data(), request.size()), request.size());
  std::string answer;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;) {
    answer.append(buffer, n);
  }
  close(fd);
  return answer;
}

TEST(MetricsEndpointTest, MetricsAreServedAsText) {
  ASSERT_OK_AND_ASSIGN(const auto endpoint, Start("127.0.0.1:0"));
  EXPECT_THAT(
      Get(endpoint->port(), "/metrics"),
      AllOf(HasSubstr("200 OK"), HasSubstr("text/plain"),
            HasSubstr("# HELP apples_total Apples."),
            HasSubstr("# TYPE apples_total counter"),
            HasSubstr("apples_total{color=\"red\"} 3"), HasSubstr("pears 2")));
  EXPECT_THAT(Get(endpoint->port(), "/"), HasSubstr("404"));
}

TEST(MetricsEndpointTest, HostsMayBeNames) {
  ASSERT_OK(Start("localhost:0"));
  ASSERT_OK(Start("[::1]:0"));
}

TEST(MetricsEndpointTest, AnyAddressMeansIPv4Too) {
  ASSERT_OK_AND_ASSIGN(const auto endpoint, Start("[::]:0"));
  EXPECT_THAT(Get(endpoint->port(), "/metrics"), HasSubstr("pears 2"));
}

TEST(MetricsEndpointTest, AnAddressThatCannotBeListenedOnIsUnavailable) {
  ASSERT_OK_AND_ASSIGN(const auto first, Start("127.0.0.1:0"));
  EXPECT_THAT(
      Start(absl::StrCat("127.0.0.1:", first->port())),
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr("is the port taken")));
  for (const char* nonsense : {"9464", ":9464", "host:", "host:http", "[::1:1",
                               "host:-1", "host:65536", ""}) {
    EXPECT_THAT(Start(nonsense), StatusIs(absl::StatusCode::kUnavailable,
                                          HasSubstr("no HOST:PORT")))
        << nonsense;
  }
  EXPECT_THAT(Start("192.0.2.1:0"), StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace warmstart::rpc
