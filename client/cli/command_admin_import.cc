#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/checkpoint_text.h"
#include "client/cli/command.h"
#include "client/cli/exports/export_folder.h"
#include "client/cli/progress_bar.h"
#include "client/cli/text.h"
#include "client/cpp/status_macros.h"
#include "nlohmann/json.hpp"

namespace warmstart::client {
namespace {

constexpr Flag kFlags[] = {
    {.name = "on-alias-conflict",
     .value = "fail|keep|move",
     .help =
         "What to do with an alias that points to another checkpoint on the "
         "server: fail, before anything is stored; keep it there; or move "
         "it. Default: fail."},
};

// Where an imported checkpoint tells its name in the store that it was exported
// from.
constexpr char kImportedFrom[] = "imported-from";

enum class OnConflict { kFail, kKeep, kMove };

OnConflict ConflictPolicy(const Arguments& arguments) {
  const std::string name = arguments.Get("on-alias-conflict").value_or("fail");
  return name == "keep"   ? OnConflict::kKeep
         : name == "move" ? OnConflict::kMove
                          : OnConflict::kFail;
}

// Those that the arguments name, by "checkpoints/{id}" or an alias that they
// had when they were exported; all of them where none is named. Oldest first.
absl::StatusOr<std::vector<v1::Checkpoint>> Select(const ExportFolder& folder,
                                                   const Arguments& arguments) {
  CLIENT_ASSIGN_OR_RETURN(std::vector<v1::Checkpoint> all,
                          folder.ListCheckpoints());
  const std::vector<std::string>& given = arguments.positional();
  std::set<std::string> wanted(given.begin() + 1, given.end());
  if (wanted.empty()) return all;
  std::vector<v1::Checkpoint> selected;
  for (v1::Checkpoint& checkpoint : all) {
    size_t matched = wanted.erase(checkpoint.name());
    for (const std::string& alias : checkpoint.aliases()) {
      matched += wanted.erase(alias);
    }
    if (matched > 0) selected.push_back(std::move(checkpoint));
  }
  if (wanted.empty()) return selected;
  return absl::NotFoundError(
      absl::StrCat("the export has no ", absl::StrJoin(wanted, ", ")));
}

// Imports checkpoints, each once, and the architectures that they need.
class Importer {
 public:
  Importer(Session& session, const ExportFolder& folder, OnConflict on_conflict)
      : session_(session), folder_(folder), on_conflict_(on_conflict) {}

  // Aliases that point elsewhere; fails where that is what the policy says.
  absl::Status FindConflicts(const std::vector<v1::Checkpoint>& checkpoints) {
    for (const v1::Checkpoint& checkpoint : checkpoints) {
      for (const std::string& alias : checkpoint.aliases()) {
        CLIENT_RETURN_IF_ERROR(FindConflict(checkpoint.name(), alias));
      }
    }
    if (conflicts_.empty() || on_conflict_ != OnConflict::kFail) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "other checkpoints of the server have the aliases ",
        absl::StrJoin(conflicts_, ", "),
        "; --on-alias-conflict keep leaves them there, move moves them"));
  }

  // Its name on the server.
  absl::StatusOr<std::string> Import(const std::string& name) {
    const auto [found, is_new] = names_.try_emplace(name, "");
    if (!is_new && found->second.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the export says that ", name,
                       " has the initial values of its own "
                       "architecture"));
    }
    if (!is_new) return found->second;
    CLIENT_ASSIGN_OR_RETURN(const v1::ExportedCheckpoint exported,
                            folder_.ReadCheckpoint(name));
    CLIENT_ASSIGN_OR_RETURN(const v1::Checkpoint saved, Save(exported));
    CLIENT_RETURN_IF_ERROR(AddLabels(exported.checkpoint(), saved));
    CLIENT_RETURN_IF_ERROR(SetAliases(exported.checkpoint(), saved));
    names_[name] = saved.name();
    return saved.name();
  }

  // Of all that were imported, by their names in the export.
  const std::map<std::string, std::string>& names() const { return names_; }

 private:
  absl::Status FindConflict(const std::string& name, const std::string& alias) {
    v1::GetCheckpointRequest request;
    request.set_name(alias);
    const auto there = session_.client().GetCheckpoint(request);
    if (absl::IsNotFound(there.status())) return absl::OkStatus();
    CLIENT_RETURN_IF_ERROR(there.status());
    const auto label = there->labels().find(kImportedFrom);
    if (label == there->labels().end() || label->second != name) {
      conflicts_.insert(alias);
    }
    return absl::OkStatus();
  }

  // Under a request_id that its name makes: what was imported before is found
  // again. A checkpoint never changes but for labels and aliases, which are
  // therefore set afterwards.
  absl::StatusOr<v1::Checkpoint> Save(const v1::ExportedCheckpoint& exported) {
    v1::SaveModelHeader header;
    header.set_request_id(
        absl::StrCat("import:", exported.checkpoint().name()));
    CLIENT_ASSIGN_OR_RETURN(
        *header.mutable_architecture(),
        ImportArchitecture(exported.checkpoint().architecture()));
    CLIENT_ASSIGN_OR_RETURN(const std::vector<LocalBlob> blobs,
                            FindBlobs(exported.manifest()));
    ProgressBar bar(session_.console(), "importing");
    CLIENT_ASSIGN_OR_RETURN(
        v1::SaveModelResponse response,
        session_.client().SaveManifest(header, exported.manifest(), blobs,
                                       bar.callback()));
    return std::move(*response.mutable_checkpoint());
  }

  // What the manifest needs; the values of views come with their storages.
  absl::StatusOr<std::vector<LocalBlob>> FindBlobs(
      const v1::Manifest& manifest) const {
    std::vector<LocalBlob> blobs;
    std::set<std::string> seen;
    const auto add = [&](const std::string& digest) -> absl::Status {
      if (!seen.insert(digest).second) return absl::OkStatus();
      CLIENT_ASSIGN_OR_RETURN(const auto blob, folder_.FindTensor(digest));
      if (!blob.has_value()) {
        return absl::NotFoundError(absl::StrCat("the export lacks the tensor ",
                                                digest, "; export again"));
      }
      blobs.push_back(*blob);
      return absl::OkStatus();
    };
    for (const v1::SharedStorage& storage : manifest.storages()) {
      CLIENT_RETURN_IF_ERROR(add(storage.digest()));
    }
    for (const v1::ManifestEntry& entry : manifest.entries()) {
      if (entry.shared_storage() != 0) continue;
      CLIENT_RETURN_IF_ERROR(add(entry.digest()));
    }
    return blobs;
  }

  // Its name on the server; "" for one that was not exported, for it was
  // deleted.
  absl::StatusOr<std::string> ImportArchitecture(const std::string& name) {
    if (!absl::StrContains(name, "/versions/")) return name;
    if (const auto found = architectures_.find(name);
        found != architectures_.end()) {
      return found->second;
    }
    CLIENT_ASSIGN_OR_RETURN(std::optional<v1::Architecture> architecture,
                            folder_.ReadArchitecture(name));
    if (!architecture.has_value()) return "";
    v1::RegisterArchitectureRequest request;
    *request.mutable_architecture() = *std::move(architecture);
    CLIENT_RETURN_IF_ERROR(Prepare(*request.mutable_architecture()));
    CLIENT_ASSIGN_OR_RETURN(const v1::Architecture registered,
                            session_.client().RegisterArchitecture(request));
    architectures_[name] = registered.name();
    return registered.name();
  }

  // For another server: without what that sets itself.
  absl::Status Prepare(v1::Architecture& architecture) {
    const std::string name = ArchitectureName(architecture.name());
    architecture.set_name(name.substr(0, name.find('/')));
    architecture.clear_version();
    architecture.clear_has_forward();
    if (architecture.initial_values().empty()) return absl::OkStatus();
    CLIENT_ASSIGN_OR_RETURN(*architecture.mutable_initial_values(),
                            Import(architecture.initial_values()));
    return absl::OkStatus();
  }

  // Those that it has by now stay as they are.
  absl::Status AddLabels(const v1::Checkpoint& exported,
                         const v1::Checkpoint& saved) {
    std::map<std::string, std::string> labels(saved.labels().begin(),
                                              saved.labels().end());
    labels.insert(exported.labels().begin(), exported.labels().end());
    labels[kImportedFrom] = exported.name();
    return session_.client().SetLabels(saved.name(), labels).status();
  }

  absl::Status SetAliases(const v1::Checkpoint& exported,
                          const v1::Checkpoint& saved) {
    for (const std::string& alias : exported.aliases()) {
      if (conflicts_.count(alias) > 0 && on_conflict_ == OnConflict::kKeep) {
        continue;
      }
      v1::SetAliasRequest request;
      request.set_name(alias);
      request.set_checkpoint(saved.name());
      CLIENT_RETURN_IF_ERROR(session_.client().SetAlias(request).status());
    }
    return absl::OkStatus();
  }

  Session& session_;
  const ExportFolder& folder_;
  const OnConflict on_conflict_;
  std::set<std::string> conflicts_;
  std::map<std::string, std::string> names_;  // "" while it is being imported
  std::map<std::string, std::string> architectures_;
};

void PrintResult(const std::map<std::string, std::string>& names,
                 const Session& session) {
  if (session.json()) {
    nlohmann::json json;
    json["checkpoints"] = names;
    session.Print(json.dump(1) + "\n");
    return;
  }
  Table table({{"EXPORTED"}, {"IMPORTED"}});
  for (const auto& [exported, imported] : names) {
    table.AddRow({{exported}, {imported, Color::kBold}});
  }
  session.Print(table.Render(session.table_style()));
}

absl::Status Run(const Arguments& arguments, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(const ExportFolder folder,
                          ExportFolder::Open(arguments.positional().front()));
  CLIENT_ASSIGN_OR_RETURN(const std::vector<v1::Checkpoint> selected,
                          Select(folder, arguments));
  Importer importer(session, folder, ConflictPolicy(arguments));
  CLIENT_RETURN_IF_ERROR(importer.FindConflicts(selected));
  for (const v1::Checkpoint& checkpoint : selected) {
    CLIENT_RETURN_IF_ERROR(importer.Import(checkpoint.name()).status());
  }
  PrintResult(importer.names(), session);
  return absl::OkStatus();
}

}  // namespace

const Command kAdminImportCommand = {
    .name = "admin import",
    .synopsis = "DIR [HANDLE...] [--on-alias-conflict HOW]",
    .summary = "Store checkpoints from a folder that `admin export` wrote.",
    .details =
        "All of them, or those that are named by the handle that they had. "
        "They "
        "get new handles, and the label imported-from, which tells the old "
        "one; "
        "their labels, aliases and architectures come along. Only tensors that "
        "the server has not are sent. Importing again changes nothing but what "
        "is missing.",
    .example =
        "warmstart admin import backup\n"
        "warmstart admin import backup aliases/resnet/prod",
    .flags = kFlags,
    .min_positional = 1,
    .max_positional = Command::kAnyNumber,
    .run = Run,
};

}  // namespace warmstart::client
