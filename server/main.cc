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
#include "server/rpc/server.h"
#include "server/service/architecture_registry.h"
#include "server/service/context.h"
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
    "  --upload-ttl SECONDS   how long an upload that nobody goes on with is "
    "kept\n"
    "                         (default: 86400, a day)\n"
    "  --port-file FILE       writes the port that is listened on to FILE\n"
    "  --grace-period SECONDS how long running calls may go on after SIGTERM\n"
    "                         (default: 25)\n"
    "  --version, --help\n";

struct Flags {
  std::string listen = "localhost:50051";
  std::string data_dir = "warmstart-data";
  std::string device = "auto";
  std::optional<int64_t> resident_bytes;
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

// Exits on what is no number.
int64_t ParseBytes(const char* value) {
  int64_t bytes = 0;
  if (absl::SimpleAtoi(value, &bytes) && bytes >= 0) return bytes;
  Refuse("--resident-bytes", value, "not a number of bytes");
}

// Exits on what is no positive number.
absl::Duration ParseUploadTtl(const char* value) {
  double seconds = 0;
  if (absl::SimpleAtod(value, &seconds) && seconds > 0) {
    return absl::Seconds(seconds);
  }
  Refuse("--upload-ttl", value, "not a number of seconds");
}

// Exits on --help, --version and flags that cannot be used.
Flags ParseFlags(int argc, char** argv) {
  const option options[] = {
      {"listen", required_argument, nullptr, 'l'},
      {"data-dir", required_argument, nullptr, 'd'},
      {"device", required_argument, nullptr, 'D'},
      {"resident-bytes", required_argument, nullptr, 'r'},
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
        flags.resident_bytes = ParseBytes(optarg);
        break;
      case 'u':
        flags.upload_ttl = ParseUploadTtl(optarg);
        break;
      case 'p':
        flags.port_file = optarg;
        break;
      case 'V':
        flags.verify_reads = ParseVerifyReads(optarg);
        break;
      case 'g':
        if (!absl::SimpleAtod(optarg, &flags.grace_seconds) ||
            !(flags.grace_seconds >= 0)) {
          Refuse("--grace-period", optarg, "not a number of seconds");
        }
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
  const service::Context context{store.get(), &architectures, flags.device,
                                 &resident_models};
  ASSIGN_OR_RETURN(const std::unique_ptr<rpc::RpcServer> server,
                   rpc::RpcServer::Start(context, flags.listen));

  const std::string host = flags.listen.substr(0, flags.listen.rfind(':'));
  std::fprintf(stderr,
               "warmstart-server %s listening on %s:%d, data in %s, device %s "
               "(%s)\n",
               WARMSTART_VERSION, host.c_str(), server->port(),
               flags.data_dir.c_str(), device.ToString().c_str(), cuda.c_str());
  if (!flags.port_file.empty()) {
    RETURN_IF_ERROR(WritePortFile(flags.port_file, server->port()));
  }

  int received = 0;
  sigwait(&stop_signals, &received);
  std::fprintf(stderr, "warmstart-server: %s, draining\n",
               received == SIGTERM ? "SIGTERM" : "SIGINT");
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
