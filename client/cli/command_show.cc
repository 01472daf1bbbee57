#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/checkpoint_text.h"
#include "client/cli/command.h"
#include "client/cli/expiration.h"
#include "client/cli/json.h"
#include "client/cli/pages.h"
#include "client/cli/report_text.h"
#include "client/cli/text.h"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "tensors",
     .help = "Print the tensors instead: key, dtype, shape, SHA-256."},
    {.name = "tree", .help = "The report by module, repeated layers folded."},
};

void PrintFacts(const v1::Checkpoint& checkpoint, const Session& session) {
  const bool color = session.table_style().color;
  const auto fact = [&](absl::string_view name, absl::string_view value) {
    if (value.empty()) return;
    std::string label(name);
    label.resize(14, ' ');
    session.Print(
        absl::StrCat(Paint(Color::kDim, label, color), Printable(value), "\n"));
  };
  fact("handle", checkpoint.name());
  fact("architecture", ArchitectureName(checkpoint.architecture()));
  fact("created", FormatTime(checkpoint.create_time()));
  fact("expires", ExpirationText(checkpoint));
  fact("size", absl::StrCat(Plural(checkpoint.tensor_count(), "tensor"), ", ",
                            FormatBytes(checkpoint.size_bytes())));
  fact("aliases", absl::StrJoin(checkpoint.aliases(), ", "));
  fact("labels", LabelsText(checkpoint.labels()));
  fact("origin", OriginText(checkpoint.origin()));
}

void PrintCheckpoint(const v1::Checkpoint& checkpoint, bool tree,
                     const Session& session) {
  PrintFacts(checkpoint, session);
  if (!checkpoint.metadata().fields().empty()) {
    session.Print(absl::StrCat(
        "\nmetadata\n", FoldLines(PrintableLines(ToJson(checkpoint.metadata())),
                                  session.table_style().max_rows)));
  }
  if (checkpoint.has_report()) {
    session.Print(
        "\n" + RenderReport(checkpoint.report(),
                            {.style = session.table_style(),
                             .tree = tree,
                             .sources = OriginSources(checkpoint.origin())}));
  }
}

absl::Status ShowCheckpoint(const std::string& handle, bool tree,
                            Session& session) {
  v1::GetCheckpointRequest request;
  request.set_name(handle);
  request.set_view(v1::CHECKPOINT_VIEW_FULL);
  CLIENT_ASSIGN_OR_RETURN(const v1::Checkpoint checkpoint,
                          session.client().GetCheckpoint(request));
  if (session.json()) {
    session.PrintJson(checkpoint);
  } else {
    PrintCheckpoint(checkpoint, tree, session);
  }
  return absl::OkStatus();
}

void PrintManifest(const v1::Manifest& manifest, const Session& session) {
  Table table({{"KEY"}, {"DTYPE"}, {"SHAPE"}, {"SHARED"}, {"SHA-256"}});
  for (const v1::ManifestEntry& entry : manifest.entries()) {
    table.AddRow({{entry.key()},
                  {entry.dtype()},
                  {FormatShape(entry.shape())},
                  {entry.shared_storage() == 0
                       ? ""
                       : absl::StrCat("#", entry.shared_storage())},
                  {entry.digest(), Color::kDim}});
  }
  if (!table.empty()) session.Print(table.Render(session.table_style()));
}

absl::Status ShowTensors(const std::string& handle, Session& session) {
  v1::GetManifestRequest request;
  request.set_name(handle);
  CLIENT_ASSIGN_OR_RETURN(
      const auto manifest,
      GatherPages<v1::Manifest>(
          request, /*limit=*/0, /*max_page=*/10'000,
          [&](const auto& page) { return session.client().GetManifest(page); },
          [](const auto& pages) { return pages.entries_size(); }));
  if (session.json()) {
    session.PrintJson(manifest);
  } else {
    PrintManifest(manifest, session);
  }
  return absl::OkStatus();
}

absl::Status Run(const Arguments& arguments, Session& session) {
  const std::string& handle = arguments.positional().front();
  return arguments.Has("tensors")
             ? ShowTensors(handle, session)
             : ShowCheckpoint(handle, arguments.Has("tree"), session);
}

}  // namespace

const Command kShowCommand = {
    .name = "show",
    .synopsis = "HANDLE [--tensors|--tree]",
    .summary = "Show a checkpoint's origin, report, or tensors.",
    .example =
        "warmstart show aliases/demo/net-b\n"
        "warmstart show checkpoints/ab12 --tensors",
    .flags = kFlags,
    .min_positional = 1,
    .max_positional = 1,
    .run = Run,
};

}  // namespace warmstart::client
