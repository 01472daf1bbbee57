#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
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
    {.name = "as",
     .value = "KEY,KEY,...",
     .help =
         "Several checkpoints in one file: the key of each one's state_dict, "
         "in the order of the handles."},
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

absl::StatusOr<v1::DownloadCheckpointRequest> BuildRequest(
    const Arguments& arguments, absl::string_view file) {
  const std::vector<std::string>& handles = arguments.positional();
  v1::DownloadCheckpointRequest request;
  request.set_format(FormatOf(arguments, file));
  const std::optional<std::string> as = arguments.Get("as");
  if (!as.has_value()) {
    if (handles.size() > 1) {
      return UsageError(
          "--as KEY,KEY,... is missing: a file of several has a "
          "key for each of them");
    }
    request.set_name(handles.front());
    return request;
  }
  const std::vector<std::string> keys = absl::StrSplit(*as, ',');
  if (keys.size() != handles.size()) {
    return UsageError(absl::StrCat("--as has ", Plural(keys.size(), "key"),
                                   " for ",
                                   Plural(handles.size(), "checkpoint")));
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    v1::DownloadPart* part = request.add_parts();
    part->set_checkpoint(handles[i]);
    part->set_key(keys[i]);
  }
  return request;
}

absl::StatusOr<Downloaded> ToStandardOutput(
    const v1::DownloadCheckpointRequest& request, Session& session) {
  std::ostream& out = session.console().out;
  ProgressBar bar(session.console(), "downloading");
  return session.client().Download(
      request,
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
    const std::string what = downloaded.parts.empty()
                                 ? downloaded.checkpoint
                                 : absl::StrJoin(downloaded.parts, ", ");
    session.Print(Printable(absl::StrCat("downloaded ", what, " to ", file,
                                         ": ", FormatBytes(downloaded.size))) +
                  "\n");
    return;
  }
  nlohmann::ordered_json json = {{"checkpoint", downloaded.checkpoint},
                                 {"file", file},
                                 {"size_bytes", downloaded.size}};
  if (!downloaded.parts.empty()) {
    json.erase("checkpoint");
    json["part_checkpoints"] = downloaded.parts;
  }
  session.Print(json.dump(1, ' ', /*ensure_ascii=*/false,
                          nlohmann::json::error_handler_t::replace) +
                "\n");
}

absl::Status Run(const Arguments& arguments, Session& session) {
  const std::string file = arguments.Get("output").value_or("");
  if (file.empty()) return UsageError("-o FILE is missing: where to");
  CLIENT_ASSIGN_OR_RETURN(const v1::DownloadCheckpointRequest request,
                          BuildRequest(arguments, file));
  if (file == kStandardOutput) {
    if (session.json()) {
      return UsageError("--json and -o - both want standard output");
    }
    return ToStandardOutput(request, session).status();
  }
  absl::StatusOr<Downloaded> downloaded;
  {
    ProgressBar bar(session.console(), "downloading");
    downloaded = session.client().DownloadToFile(request, file, bar.callback());
  }
  CLIENT_RETURN_IF_ERROR(downloaded.status());
  PrintResult(*downloaded, file, session);
  return absl::OkStatus();
}

}  // namespace

const Command kDownloadCommand = {
    .name = "download",
    .synopsis = "HANDLE... -o FILE [--as KEY,...] [--format ...]",
    .summary = "Write a checkpoint, or several, to a file.",
    .details =
        "FILE appears when it is complete and on disk; until then, what was "
        "there stays. A lost connection is resumed. torch.load(FILE, "
        "weights_only=True) reads the torch format.\n\n"
        "With --as, the file is a dict of state_dicts, as in PyTorch's recipe "
        "on several models in one file; in safetensors, which has no dicts in "
        "dicts, every tensor's key begins with that of its model and a dot.",
    .example =
        "warmstart download aliases/demo/net-b -o net_b.pt\n"
        "warmstart download checkpoints/ab12 -o net_b.safetensors\n"
        "warmstart download aliases/a aliases/b -o both.pt --as modelA,modelB",
    .flags = kFlags,
    .min_positional = 1,
    .max_positional = Command::kAnyNumber,
    .run = Run,
};

}  // namespace warmstart::client
