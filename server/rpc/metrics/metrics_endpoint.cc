#include "server/rpc/metrics/metrics_endpoint.h"

#include <httplib.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace warmstart::rpc {
namespace {

// A scraper asks a few times a minute; a stop waits for connections that are
// kept.
constexpr int kThreads = 2;
constexpr int kTimeoutSeconds = 5;
constexpr int kKeepAliveSeconds = 1;

constexpr char kTextFormat[] = "text/plain; version=0.0.4; charset=utf-8";

struct HostPort {
  std::string host;
  int port = 0;
};

// "localhost:9464", "[::1]:9464".
std::optional<HostPort> SplitAddress(absl::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos || colon == 0) return std::nullopt;
  HostPort result;
  if (!absl::SimpleAtoi(address.substr(colon + 1), &result.port) ||
      result.port < 0 || result.port > 65535) {
    return std::nullopt;
  }
  absl::string_view host = address.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) {
    if (!absl::ConsumeSuffix(&host, "]")) return std::nullopt;
  }
  result.host = std::string(host);
  return result;
}

class HttpEndpoint final : public MetricsEndpoint {
 public:
  explicit HttpEndpoint(Sources sources) : sources_(std::move(sources)) {
    http_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    http_.set_read_timeout(kTimeoutSeconds);
    http_.set_write_timeout(kTimeoutSeconds);
    http_.set_keep_alive_timeout(kKeepAliveSeconds);
    http_.set_payload_max_length(0);
    // Unless told otherwise, it shares its port with whoever else wants it.
    http_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    http_.Get("/metrics",
              [this](const httplib::Request&, httplib::Response& response) {
                response.set_content(Collect(), kTextFormat);
              });
  }

  ~HttpEndpoint() override {
    http_.stop();
    if (thread_.joinable()) thread_.join();
  }

  bool Listen(const HostPort& address) {
    if (address.port == 0) {
      port_ = http_.bind_to_any_port(address.host);
    } else if (http_.bind_to_port(address.host, address.port)) {
      port_ = address.port;
    }
    if (port_ <= 0) return false;
    thread_ = std::thread([this] { http_.listen_after_bind(); });
    // What does not run yet cannot be stopped.
    while (!http_.is_running()) std::this_thread::yield();
    return true;
  }

  int port() const override { return port_; }

 private:
  std::string Collect() const {
    std::vector<prometheus::MetricFamily> families;
    for (const auto& source : sources_) {
      std::vector<prometheus::MetricFamily> some = source->Collect();
      std::move(some.begin(), some.end(), std::back_inserter(families));
    }
    return prometheus::TextSerializer().Serialize(families);
  }

  const Sources sources_;
  httplib::Server http_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Start(
    const std::string& address, Sources sources) {
  const std::optional<HostPort> split = SplitAddress(address);
  if (!split.has_value()) {
    return absl::UnavailableError(absl::StrCat(
        "cannot serve metrics on '", address, "': it is no HOST:PORT"));
  }
  auto endpoint = std::make_unique<HttpEndpoint>(std::move(sources));
  if (!endpoint->Listen(*split)) {
    return absl::UnavailableError(
        absl::StrCat("cannot serve metrics on '", address,
                     "'; is the port taken, or the host not this machine's?"));
  }
  return endpoint;
}

}  // namespace warmstart::rpc
