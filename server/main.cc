// warmstart-server: flags, wiring, run. No logic.

#include <getopt.h>
#include <signal.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/status_macros.h"
#include "server/rpc/metrics/call_metrics.h"
#include "server/rpc/metrics/metrics_endpoint.h"
#include "server/rpc/metrics/process_metrics.h"
#include "server/rpc/metrics/server_metrics.h"
#include "server/rpc/server.h"
#include "server/service/architecture_registry.h"
#include "server/service/chores.h"
#include "server/service/context.h"
#include "server/service/housekeeper.h"
#include "server/service/resident_models.h"
#include "server/store/store.h"
#include "server/torch/device.h"
#include "server/torch/model_architecture.h"

namespace warmstart {
namespace {

constexpr char kUsage[] =
    "Usage: warmstart-server [flags]\n"
    "\n"
    "Serves the warmstart.v1 API: stores checkpoints and warm-starts models "
    "from\n"
    "them. Stops cleanly on SIGTERM and SIGINT.\n"
    "\n"
    "  --listen HOST:PORT     where to listen; port 0 takes a free one\n"
    "                         (default: localhost:50051)\n"
    "  --data-dir DIR         where checkpoints are kept; made if it is not "
    "there\n"
    "                         (default: warmstart-data)\n"
    "  --device DEVICE        where loads are performed unless a request says\n"
    "                         otherwise: cpu, cuda, cuda:N or auto (default: "
    "auto)\n"
    "  --verify-reads first|never\n"
    "                         whether a tensor is compared with its SHA-256 "
    "when it\n"
    "                         is first read since the start (default: first)\n"
    "  --resident-bytes N     bytes that models may take on each device while "
    "they\n"
    "                         wait for the next Forward; 0 keeps none "
    "(default: a\n"
    "                         quarter of the host's memory, half of a GPU's)\n"
    "  --max-store-bytes N    bytes that stored tensors and running saves "
    "may take on\n"
    "                         the disk; 0 for no limit (default: 0)\n"
    "  --max-checkpoints N    checkpoints that may be there; 0 for no limit\n"
    "                         (default: 0)\n"
    "  --max-upload-bytes N   bytes that the files of one save may have; 0 "
    "for no\n"
    "                         limit (default: 0)\n"
    "  --keep-last SELECTOR:N deletes all but the newest N checkpoints that "
    "have the\n"
    "                         labels of SELECTOR, as experiment=ablation:5; "
    "for a\n"
    "                         label without a value, as experiment:5, the "
    "newest N\n"
    "                         of each value. Conditions are separated by "
    "commas. May\n"
    "                         be repeated: what one of them keeps stays, and "
    "so does\n"
    "                         what an alias points to\n"
    "  --housekeeping-interval SECONDS\n"
    "                         how often checkpoints and uploads that have "
    "expired,\n"
    "                         or are no longer kept, are deleted (default: "
    "60)\n"
    "  --gc-interval SECONDS  how often packs that are mostly dead are "
    "rewritten;\n"
    "                         0 for never (default: 86400, a day)\n"
    "  --scrub-interval SECONDS\n"
    "                         how often all that is stored is read, to find "
    "damage\n"
    "                         before somebody needs it; 0 for never (default: "
    "0)\n"
    "  --upload-ttl SECONDS   how long an upload that nobody goes on with is "
    "kept\n"
    "                         (default: 86400, a day)\n"
    "  --metrics-listen HOST:PORT\n"
    "                         where Prometheus gets metrics, as "
    "http://HOST:PORT/metrics;\n"
    "                         port 0 takes a free one (default: nowhere)\n"
    "  --port-file FILE       writes the port that is listened on to FILE\n"
    "  --grace-period SECONDS how long running calls may go on after SIGTERM\n"
    "                         (default: 25)\n"
    "  --version, --help\n";

// More often than this would be all that the server does.
constexpr double kLeastIntervalSeconds = 0.1;
constexpr double kLeastUploadTtlSeconds = 0.1;

struct Flags {
  std::string listen = "localhost:50051";
  std::string data_dir = "warmstart-data";
  std::string device = "auto";
  std::optional<int64_t> resident_bytes;
  store::StoreLimits limits;
  std::vector<store::RetentionRule> keep_last;
  service::ChoreIntervals intervals;
  std::string metrics_listen;
  std::string port_file;
  store::VerifyReads verify_reads = store::VerifyReads::kFirst;
  double grace_seconds = 25;
  absl::Duration upload_ttl = store::StoreOptions().upload_ttl;
};

[[noreturn]] void Refuse(const char* flag, const char* value,
                         const char* problem) {
  std::fprintf(stderr, "warmstart-server: %s: '%s' is %s\n", flag, value,
               problem);
  std::exit(2);
}

store::VerifyReads ParseVerifyReads(const char* value) {
  if (absl::string_view(value) == "first") return store::VerifyReads::kFirst;
  if (absl::string_view(value) == "never") return store::VerifyReads::kNever;
  Refuse("--verify-reads", value, "neither 'first' nor 'never'");
}

// These exit on what cannot be read.
int64_t ParseCount(const char* flag, const char* value) {
  int64_t count = 0;
  if (absl::SimpleAtoi(value, &count) && count >= 0) return count;
  Refuse(flag, value, "not a whole number, 0 or more");
}

double ParseSeconds(const char* flag, const char* value, double least) {
  double seconds = 0;
  if (absl::SimpleAtod(value, &seconds) && seconds >= least) return seconds;
  Refuse(flag, value,
         absl::StrCat("not a number of seconds, ", least, " or more").c_str());
}

absl::Duration ParseInterval(const char* flag, const char* value) {
  return absl::Seconds(ParseSeconds(flag, value, kLeastIntervalSeconds));
}

// 0 stands for never.
absl::Duration ParseRareInterval(const char* flag, const char* value) {
  if (ParseSeconds(flag, value, 0) == 0) return absl::ZeroDuration();
  return ParseInterval(flag, value);
}

store::RetentionRule ParseKeepLast(const char* value) {
  absl::StatusOr<store::RetentionRule> rule =
      store::RetentionRule::Parse(value);
  if (rule.ok()) return *std::move(rule);
  Refuse("--keep-last", value, std::string(rule.status().message()).c_str());
}

// Exits on --help, --version and flags that cannot be used.
Flags ParseFlags(int argc, char** argv) {
  const option options[] = {
      {"listen", required_argument, nullptr, 'l'},
      {"data-dir", required_argument, nullptr, 'd'},
      {"device", required_argument, nullptr, 'D'},
      {"resident-bytes", required_argument, nullptr, 'r'},
      {"max-store-bytes", required_argument, nullptr, 'S'},
      {"max-checkpoints", required_argument, nullptr, 'C'},
      {"max-upload-bytes", required_argument, nullptr, 'U'},
      {"keep-last", required_argument, nullptr, 'k'},
      {"housekeeping-interval", required_argument, nullptr, 'i'},
      {"gc-interval", required_argument, nullptr, 'G'},
      {"scrub-interval", required_argument, nullptr, 's'},
      {"metrics-listen", required_argument, nullptr, 'm'},
      {"upload-ttl", required_argument, nullptr, 'u'},
      {"port-file", required_argument, nullptr, 'p'},
      {"verify-reads", required_argument, nullptr, 'V'},
      {"grace-period", required_argument, nullptr, 'g'},
      {"version", no_argument, nullptr, 'v'},
      {"help", no_argument, nullptr, 'h'},
      {nullptr, 0, nullptr, 0},
  };
  Flags flags;
  for (int flag;
       (flag = getopt_long(argc, argv, "h", options, nullptr)) != -1;) {
    switch (flag) {
      case 'l':
        flags.listen = optarg;
        break;
      case 'd':
        flags.data_dir = optarg;
        break;
      case 'D':
        flags.device = optarg;
        break;
      case 'r':
        flags.resident_bytes = ParseCount("--resident-bytes", optarg);
        break;
      case 'S':
        flags.limits.max_bytes = ParseCount("--max-store-bytes", optarg);
        break;
      case 'C':
        flags.limits.max_checkpoints = ParseCount("--max-checkpoints", optarg);
        break;
      case 'U':
        flags.limits.max_upload_bytes =
            ParseCount("--max-upload-bytes", optarg);
        break;
      case 'k':
        flags.keep_last.push_back(ParseKeepLast(optarg));
        break;
      case 'i':
        flags.intervals.housekeeping =
            ParseInterval("--housekeeping-interval", optarg);
        break;
      case 'G':
        flags.intervals.garbage_collection =
            ParseRareInterval("--gc-interval", optarg);
        break;
      case 's':
        flags.intervals.scrub = ParseRareInterval("--scrub-interval", optarg);
        break;
      case 'm':
        flags.metrics_listen = optarg;
        break;
      case 'u':
        flags.upload_ttl = absl::Seconds(
            ParseSeconds("--upload-ttl", optarg, kLeastUploadTtlSeconds));
        break;
      case 'p':
        flags.port_file = optarg;
        break;
      case 'V':
        flags.verify_reads = ParseVerifyReads(optarg);
        break;
      case 'g':
        flags.grace_seconds = ParseSeconds("--grace-period", optarg, 0);
        break;
      case 'v':
        std::puts("warmstart-server " WARMSTART_VERSION);
        std::exit(0);
      case 'h':
        std::fputs(kUsage, stdout);
        std::exit(0);
      default:
        std::fputs("Try 'warmstart-server --help'.\n", stderr);
        std::exit(2);
    }
  }
  if (optind < argc) {
    std::fprintf(stderr, "warmstart-server: unexpected argument '%s'\n",
                 argv[optind]);
    std::exit(2);
  }
  return flags;
}

// Whole or not at all: who waits for the file must not read half a number.
absl::Status WritePortFile(const std::string& path, int port) {
  const std::string temporary = absl::StrCat(path, ".tmp");
  std::FILE* file = std::fopen(temporary.c_str(), "w");
  const bool written = file != nullptr && std::fprintf(file, "%d\n", port) > 0;
  const bool closed = file != nullptr && std::fclose(file) == 0;
  if (!written || !closed ||
      std::rename(temporary.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("--port-file: cannot write '", path, "'"));
  }
  return absl::OkStatus();
}

std::string HostOf(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

void Log(const std::string& line) {
  std::fprintf(stderr, "warmstart-server: %s\n", line.c_str());
}

absl::Status Run(const Flags& flags) {
  // Blocked in every thread, and taken by sigwait() below.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  // A write beyond a file size limit is an error, not the end of the server.
  signal(SIGXFSZ, SIG_IGN);

  const std::string cuda = backend::LoadCudaIfPresent();
  ASSIGN_OR_RETURN(const backend::Device device,
                   backend::ResolveDevice(flags.device));
  store::StoreOptions store_options;
  store_options.data_dir = flags.data_dir;
  store_options.verify_reads = flags.verify_reads;
  store_options.limits = flags.limits;
  store_options.upload_ttl = flags.upload_ttl;
  ASSIGN_OR_RETURN(const std::unique_ptr<store::Store> store,
                   store::Store::Open(store_options));
  std::vector<std::unique_ptr<backend::ModelArchitecture>> built_in;
  built_in.push_back(backend::MakeNetA());
  built_in.push_back(backend::MakeNetB());
  service::ArchitectureRegistry architectures(*store, std::move(built_in));
  service::ResidentModels resident_models([&flags](const backend::Device& on) {
    return flags.resident_bytes.value_or(service::DefaultResidentBytes(on));
  });
  service::Context context{store.get(), &architectures, flags.device,
                           &resident_models};
  context.retention_rules = flags.keep_last;
  context.log = Log;
  // Made before the server, whose calls they count, and gone after it.
  std::shared_ptr<rpc::CallMetrics> calls;
  std::unique_ptr<rpc::MetricsEndpoint> metrics;
  if (!flags.metrics_listen.empty()) {
    calls = std::make_shared<rpc::CallMetrics>();
    ASSIGN_OR_RETURN(metrics,
                     rpc::MetricsEndpoint::Start(
                         flags.metrics_listen,
                         {calls, std::make_shared<rpc::ServerMetrics>(context),
                          std::make_shared<rpc::ProcessMetrics>()}));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<rpc::RpcServer> server,
                   rpc::RpcServer::Start(context, flags.listen, calls.get()));

  std::fprintf(stderr,
               "warmstart-server %s listening on %s:%d, data in %s, device %s "
               "(%s)\n",
               WARMSTART_VERSION, HostOf(flags.listen).c_str(), server->port(),
               flags.data_dir.c_str(), device.ToString().c_str(), cuda.c_str());
  if (metrics != nullptr) {
    Log(absl::StrCat("metrics on http://", HostOf(flags.metrics_listen), ":",
                     metrics->port(), "/metrics"));
  }
  if (!flags.port_file.empty()) {
    RETURN_IF_ERROR(WritePortFile(flags.port_file, server->port()));
  }

  std::optional<service::Housekeeper> housekeeper(
      std::in_place, service::MakeChores(context, flags.intervals), Log);

  int received = 0;
  sigwait(&stop_signals, &received);
  std::fprintf(stderr, "warmstart-server: %s, draining\n",
               received == SIGTERM ? "SIGTERM" : "SIGINT");
  housekeeper.reset();
  server->Shutdown(absl::Seconds(flags.grace_seconds));
  std::fprintf(stderr, "warmstart-server: stopped\n");
  return absl::OkStatus();
}

}  // namespace
}  // namespace warmstart

int main(int argc, char** argv) {
  const absl::Status status = warmstart::Run(warmstart::ParseFlags(argc, argv));
  if (status.ok()) return 0;
  std::fprintf(stderr, "warmstart-server: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
