#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/checkpoint_text.h"
#include "client/cli/command.h"
#include "client/cli/expiration.h"
#include "client/cli/progress_bar.h"
#include "client/cli/report_text.h"
#include "client/cli/text.h"
#include "client/cli/usage_error.h"
#include "client/cli/values.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "architecture",
     .value = "NAME",
     .help = "Without files: the model to make afresh. With files: what to "
             "match them with; they are stored whatever the report says."},
    {.name = "seed",
     .value = "N",
     .help = "Seed of a fresh model, as torch.manual_seed. Default: the server "
             "draws one and records it."},
    {.name = "device",
     .value = "DEVICE",
     .help = "Where a fresh model is initialized: cpu, cuda, cuda:N, auto. "
             "Default: as the server was started."},
    {.name = "alias",
     .value = "NAME",
     .help = "An alias to set to the new checkpoint."},
    {.name = "label",
     .value = "KEY=VALUE",
     .help = "A label of the new checkpoint.",
     .repeated = true},
    kTtlFlag,
    kExpireTimeFlag,
    {.name = "request-id",
     .value = "ID",
     .help = "Running the command again with the same ID gives the same "
             "checkpoint. Default: a new one for each run."},
    {.name = "resume",
     .value = "UPLOAD",
     .help = "Go on with an upload that was broken off, uploads/ID: the same "
             "FILEs. What the server has of them is not sent again."},
    {.name = "quiet", .help = "Print the new handle alone.", .letter = 'q'},
};

absl::StatusOr<v1::SaveModelHeader> BuildHeader(const Arguments& arguments) {
  v1::SaveModelHeader header;
  header.set_architecture(arguments.Get("architecture").value_or(""));
  if (header.architecture().empty() && arguments.positional().empty()) {
    return UsageError("nothing to save: name a FILE, or --architecture NAME");
  }
  CLIENT_ASSIGN_OR_RETURN(const std::optional<uint64_t> seed,
                          Uint64Value(arguments, "seed"));
  if (seed.has_value()) header.set_seed(*seed);
  header.set_device(arguments.Get("device").value_or(""));
  CLIENT_ASSIGN_OR_RETURN(const auto labels,
                          ParseLabels("--label", arguments.All("label")));
  header.mutable_labels()->insert(labels.begin(), labels.end());
  CLIENT_ASSIGN_OR_RETURN(const Expiration expiration,
                          ExpirationValue(arguments));
  SetExpiration(expiration, header);
  header.set_alias(arguments.Get("alias").value_or(""));
  header.set_request_id(arguments.Get("request-id").value_or(""));
  return header;
}

// Says how to go on, should this command not come to its end.
void TellUpload(const std::string& upload, Console& console) {
  if (!console.err_is_terminal) return;
  console.err << "sending " << Printable(upload)
              << "; if that is broken off, --resume " << Printable(upload)
              << " goes on" << std::endl;
}

absl::StatusOr<v1::SaveModelResponse> Send(const v1::SaveModelHeader& header,
                                           const Arguments& arguments,
                                           Session& session) {
  const std::vector<std::string>& paths = arguments.positional();
  const std::string resume = arguments.Get("resume").value_or("");
  if (paths.empty() && !resume.empty()) {
    return UsageError("--resume UPLOAD needs the FILEs of that upload");
  }
  if (paths.empty()) return session.client().SaveFresh(header);
  ProgressBar bar(session.console(), "saving");
  return session.client().Save(
      paths, header, bar.callback(),
      {.resume = resume, .on_begin = [&](const std::string& upload) {
         TellUpload(upload, session.console());
       }});
}

void PrintResponse(const v1::SaveModelResponse& response,
                   const Session& session) {
  const TableStyle style = session.table_style();
  session.Print(
      absl::StrCat("saved ", CheckpointLine(response.checkpoint()), "\n"));
  Table skipped({{"NOT STORED"}, {"WHAT IT IS"}});
  for (const v1::SkippedValue& value : response.skipped_values()) {
    skipped.AddRow({{value.path(), Color::kYellow}, {value.reason()}});
  }
  if (!skipped.empty()) session.Print("\n" + skipped.Render(style));
  if (response.has_report()) {
    session.Print("\n" + RenderReport(response.report(), {.style = style}));
  }
}

absl::Status Run(const Arguments& arguments, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(const v1::SaveModelHeader header,
                          BuildHeader(arguments));
  CLIENT_ASSIGN_OR_RETURN(const v1::SaveModelResponse response,
                          Send(header, arguments, session));
  if (session.json()) {
    session.PrintJson(response);
  } else if (arguments.Has("quiet")) {
    session.Print(absl::StrCat(response.checkpoint().name(), "\n"));
  } else {
    PrintResponse(response, session);
  }
  return absl::OkStatus();
}

}  // namespace

const Command kSaveCommand = {
    .name = "save",
    .synopsis = "FILE... [flags] | --architecture NAME [--seed N] [flags]",
    .summary = "Store the tensors of files, or a fresh model.",
    .details =
        "A FILE is what torch.save writes (.pt, .pth, .bin, .ckpt), a "
        ".safetensors file, or a *.index.json, which brings the shards that it "
        "names along. A folder stands for the one checkpoint in it. Several "
        "FILEs are stored as one checkpoint. Nothing in a file is executed.\n\n"
        "When the server or the network is lost, the command waits for them "
        "and "
        "sends what is missing. `warmstart uploads list` shows what was broken "
        "off for longer; --resume goes on with it.",
    .example =
        "warmstart save net_a.pt --alias demo/net-a\n"
        "warmstart save model.safetensors.index.json --label team=vision\n"
        "warmstart save --architecture NetA --seed 7",
    .flags = kFlags,
    .max_positional = Command::kAnyNumber,
    .run = Run,
};

}  // namespace warmstart::client
