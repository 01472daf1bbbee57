#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/exports/export_folder.h"
#include "client/cli/pages.h"
#include "client/cli/text.h"
#include "client/cpp/status_macros.h"
#include "nlohmann/json.hpp"

namespace warmstart::client {
namespace {

absl::StatusOr<std::vector<std::string>> AllCheckpoints(Session& session) {
  CLIENT_ASSIGN_OR_RETURN(
      const auto response,
      GatherPages<v1::ListCheckpointsResponse>(
          v1::ListCheckpointsRequest(), /*limit=*/0, /*max_page=*/1000,
          [&](const auto& page) {
            return session.client().ListCheckpoints(page);
          },
          [](const auto& pages) { return pages.checkpoints_size(); }));
  std::vector<std::string> names;
  for (const v1::Checkpoint& checkpoint : response.checkpoints()) {
    names.push_back(checkpoint.name());
  }
  return names;
}

class Exporter {
 public:
  Exporter(Session& session, const ExportFolder& folder)
      : client_(session.client()), folder_(folder), tensors_(folder) {}

  // And what its architecture needs. Nothing where it was done before.
  absl::Status Export(const std::string& handle) {
    v1::GetCheckpointRequest request;
    request.set_name(handle);
    request.set_view(v1::CHECKPOINT_VIEW_FULL);
    v1::ExportedCheckpoint exported;
    CLIENT_ASSIGN_OR_RETURN(*exported.mutable_checkpoint(),
                            client_.GetCheckpoint(request));
    const std::string& name = exported.checkpoint().name();
    if (!names_.insert(name).second) return absl::OkStatus();
    absl::Status status = ExportParts(exported);
    if (!status.ok()) names_.erase(name);
    return status;
  }

  // "checkpoints/{id}"
  const std::set<std::string>& names() const { return names_; }
  const TensorWriter& tensors() const { return tensors_; }

 private:
  // Of which the checkpoint is known; its file comes last.
  absl::Status ExportParts(v1::ExportedCheckpoint& exported) {
    CLIENT_RETURN_IF_ERROR(
        ExportArchitecture(exported.checkpoint().architecture()));
    const std::string& name = exported.checkpoint().name();
    CLIENT_ASSIGN_OR_RETURN(*exported.mutable_manifest(), GetManifest(name));
    CLIENT_RETURN_IF_ERROR(ExportTensors(name, exported.manifest()));
    return folder_.WriteCheckpoint(exported);
  }

  absl::StatusOr<v1::Manifest> GetManifest(const std::string& name) {
    v1::GetManifestRequest request;
    request.set_name(name);
    request.set_view(v1::CHECKPOINT_VIEW_FULL);
    return GatherPages<v1::Manifest>(
        request, /*limit=*/0, /*max_page=*/10000,
        [&](const auto& page) { return client_.GetManifest(page); },
        [](const auto& pages) { return pages.entries_size(); });
  }

  // A built-in one is on every server; one that was deleted since is nowhere.
  absl::Status ExportArchitecture(const std::string& name) {
    if (!absl::StrContains(name, "/versions/") ||
        !architectures_.insert(name).second) {
      return absl::OkStatus();
    }
    v1::GetArchitectureRequest request;
    request.set_name(name);
    const auto architecture = client_.GetArchitecture(request);
    if (absl::IsNotFound(architecture.status())) return absl::OkStatus();
    CLIENT_RETURN_IF_ERROR(architecture.status());
    if (!architecture->initial_values().empty()) {
      CLIENT_RETURN_IF_ERROR(Export(architecture->initial_values()));
    }
    return folder_.WriteArchitecture(*architecture);
  }

  // Views, too, though their storages have them: whoever reads an export finds
  // every entry in a file of its own.
  absl::Status ExportTensors(const std::string& name,
                             const v1::Manifest& manifest) {
    std::vector<std::string> missing;
    std::set<std::string> seen;
    const auto add = [&](const std::string& digest) -> absl::Status {
      if (!seen.insert(digest).second) return absl::OkStatus();
      CLIENT_ASSIGN_OR_RETURN(const auto found, folder_.FindTensor(digest));
      if (!found.has_value()) missing.push_back(digest);
      return absl::OkStatus();
    };
    for (const v1::SharedStorage& storage : manifest.storages()) {
      CLIENT_RETURN_IF_ERROR(add(storage.digest()));
    }
    for (const v1::ManifestEntry& entry : manifest.entries()) {
      CLIENT_RETURN_IF_ERROR(add(entry.digest()));
    }
    return client_.DownloadTensors(name, missing, tensors_);
  }

  Client& client_;
  const ExportFolder& folder_;
  TensorWriter tensors_;
  std::set<std::string> names_;
  std::set<std::string> architectures_;
};

void PrintResult(const Exporter& exporter, const std::string& path,
                 const Session& session) {
  const TensorWriter& tensors = exporter.tensors();
  if (session.json()) {
    const nlohmann::ordered_json json = {
        {"checkpoints", exporter.names()},
        {"tensors_written", tensors.tensors_written()},
        {"bytes_written", tensors.bytes_written()}};
    session.Print(json.dump(1) + "\n");
    return;
  }
  session.Print(
      Printable(absl::StrCat(
          "exported ", Plural(exporter.names().size(), "checkpoint"), " to ",
          path, "; wrote ", Plural(tensors.tensors_written(), "tensor"), ", ",
          FormatBytes(tensors.bytes_written()))) +
      "\n");
}

absl::Status Run(const Arguments& arguments, Session& session) {
  const std::string& path = arguments.positional().front();
  std::vector<std::string> handles(arguments.positional().begin() + 1,
                                   arguments.positional().end());
  const bool all = handles.empty();
  if (all) {
    CLIENT_ASSIGN_OR_RETURN(handles, AllCheckpoints(session));
  }
  CLIENT_ASSIGN_OR_RETURN(const ExportFolder folder,
                          ExportFolder::Create(path));
  Exporter exporter(session, folder);
  for (const std::string& handle : handles) {
    const absl::Status status = exporter.Export(handle);
    // Of all that there were, one may have been deleted meanwhile.
    if (all && absl::IsNotFound(status)) continue;
    CLIENT_RETURN_IF_ERROR(status);
  }
  PrintResult(exporter, path, session);
  return absl::OkStatus();
}

}  // namespace

const Command kAdminExportCommand = {
    .name = "admin export",
    .synopsis = "DIR [HANDLE...]",
    .summary = "Write checkpoints to a folder of safetensors and JSON.",
    .details =
        "All of the server's, or those that are named. With their labels, "
        "aliases, reports and architectures, for `warmstart "
        "admin import`, or to keep. Each distinct tensor is a file of its own, "
        "named by its SHA-256, however many checkpoints share it. What is in "
        "DIR already is not fetched again, so an interrupted export goes on "
        "where it stopped, and a later one adds what is new.",
    .example =
        "warmstart admin export backup\n"
        "warmstart admin export backup aliases/resnet/prod",
    .min_positional = 1,
    .max_positional = Command::kAnyNumber,
    .run = Run,
};

}  // namespace warmstart::client
