#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/progress_bar.h"
#include "client/cli/text.h"
#include "client/cli/usage_error.h"
#include "client/cpp/status_macros.h"
#include "nlohmann/json.hpp"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "output",
     .value = "FILE",
     .help = "Where to: a file, or - for standard output.",
     .letter = 'o'},
    {.name = "format",
     .value = "torch|safetensors",
     .help = "Default: safetensors where FILE ends with .safetensors, torch "
             "otherwise."},
};

constexpr absl::string_view kStandardOutput = "-";

v1::FileFormat FormatOf(const Arguments& arguments, absl::string_view file) {
  const bool safetensors =
      arguments.Get("format").value_or(absl::EndsWith(file, ".safetensors")
                                           ? "safetensors"
                                           : "torch") == "safetensors";
  return safetensors ? v1::FILE_FORMAT_SAFETENSORS : v1::FILE_FORMAT_TORCH;
}

absl::StatusOr<Downloaded> ToStandardOutput(const std::string& handle,
                                            v1::FileFormat format,
                                            Session& session) {
  std::ostream& out = session.console().out;
  ProgressBar bar(session.console(), "downloading");
  return session.client().Download(
      handle, format,
      [&](absl::string_view bytes) {
        out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        return out.good()
                   ? absl::OkStatus()
                   : absl::UnknownError("cannot write to standard output");
      },
      bar.callback());
}

void PrintResult(const Downloaded& downloaded, const std::string& file,
                 const Session& session) {
  if (!session.json()) {
    session.Print(
        Printable(absl::StrCat("downloaded ", downloaded.checkpoint, " to ",
                               file, ": ", FormatBytes(downloaded.size))) +
        "\n");
    return;
  }
  const nlohmann::ordered_json json = {{"checkpoint", downloaded.checkpoint},
                                       {"file", file},
                                       {"size_bytes", downloaded.size}};
  session.Print(json.dump(1, ' ', /*ensure_ascii=*/false,
                          nlohmann::json::error_handler_t::replace) +
                "\n");
}

absl::Status Run(const Arguments& arguments, Session& session) {
  const std::string handle = arguments.positional().front();
  const std::string file = arguments.Get("output").value_or("");
  if (file.empty()) return UsageError("-o FILE is missing: where to");
  const v1::FileFormat format = FormatOf(arguments, file);
  if (file == kStandardOutput) {
    if (session.json()) {
      return UsageError("--json and -o - both want standard output");
    }
    return ToStandardOutput(handle, format, session).status();
  }
  absl::StatusOr<Downloaded> downloaded;
  {
    ProgressBar bar(session.console(), "downloading");
    downloaded =
        session.client().DownloadToFile(handle, format, file, bar.callback());
  }
  CLIENT_RETURN_IF_ERROR(downloaded.status());
  PrintResult(*downloaded, file, session);
  return absl::OkStatus();
}

}  // namespace

const Command kDownloadCommand = {
    .name = "download",
    .synopsis = "HANDLE -o FILE [--format torch|safetensors]",
    .summary = "Write a checkpoint to a file.",
    .details =
        "FILE appears when it is complete and on disk; until then, what was "
        "there stays. A lost connection is resumed. torch.load(FILE, "
        "weights_only=True) reads the torch format.",
    .example =
        "warmstart download aliases/demo/net-b -o net_b.pt\n"
        "warmstart download checkpoints/ab12 -o net_b.safetensors",
    .flags = kFlags,
    .min_positional = 1,
    .max_positional = 1,
    .run = Run,
};

}  // namespace warmstart::client
