#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/architecture_text.h"
#include "client/cli/checkpoint_text.h"
#include "client/cli/command.h"
#include "client/cli/module_text.h"
#include "client/cli/pages.h"
#include "client/cli/text.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kRegisterFlags[] = {
    {.name = "name",
     .value = "NAME",
     .help = "The architecture's name, in place of the one in the file."},
    {.name = "initial-values",
     .value = "HANDLE",
     .help = "The checkpoint that has the values of initializers that are "
             "\"stored\"."},
    {.name = "dry-run",
     .help = "Checks the architecture, says which version it would be, and "
             "stores nothing."},
};

constexpr Flag kDeleteFlags[] = {
    {.name = "force",
     .help = "Deletes it even while checkpoints name it; they stay."},
};

// "mine", of "architectures/mine/versions/2".
std::string NameWithoutVersion(absl::string_view resource) {
  const std::string name = ArchitectureName(resource);
  return name.substr(0, name.find('/'));
}

absl::Status RunList(const Arguments& arguments, Session& session) {
  v1::ListArchitecturesRequest request;
  if (!arguments.positional().empty()) {
    request.set_architecture(arguments.positional().front());
  }
  CLIENT_ASSIGN_OR_RETURN(
      const auto response,
      GatherPages<v1::ListArchitecturesResponse>(
          request, /*limit=*/0, /*max_page=*/1000,
          [&](const auto& page) {
            return session.client().ListArchitectures(page);
          },
          [](const auto& pages) { return pages.architectures_size(); }));
  if (session.json()) {
    session.PrintJson(response);
    return absl::OkStatus();
  }
  Table table({{"ARCHITECTURE"},
               {"VERSION", /*right_aligned=*/true},
               {"KEYS", /*right_aligned=*/true},
               {"PARAMETERS", /*right_aligned=*/true},
               {"SIZE", /*right_aligned=*/true},
               {"KIND"}});
  for (const v1::ArchitectureSummary& summary : response.architectures()) {
    table.AddRow({{NameWithoutVersion(summary.name()), Color::kBold},
                  {summary.version() == 0 ? std::string()
                                          : absl::StrCat(summary.version())},
                  {FormatCount(summary.entry_count())},
                  {FormatCount(summary.parameter_count())},
                  {FormatBytes(summary.size_bytes())},
                  {summary.built_in() ? "built in" : "registered"}});
  }
  session.Print(table.Render(session.table_style()));
  return absl::OkStatus();
}

void PrintArchitecture(const v1::Architecture& architecture,
                       const Session& session) {
  const Table table = ArchitectureTable(architecture);
  session.Print(absl::StrCat(Printable(ArchitectureName(architecture.name())),
                             ": ", Plural(architecture.entries_size(), "key"),
                             architecture.built_in() ? ", built in" : "",
                             "\n"));
  if (!architecture.initial_values().empty()) {
    session.Print(absl::StrCat(
        "initial values: ", Printable(architecture.initial_values()), "\n"));
  }
  if (architecture.has_module()) {
    session.Print(ModuleTree(architecture.module()));
  }
  if (!table.empty()) session.Print(table.Render(session.table_style()));
}

absl::Status RunShow(const Arguments& arguments, Session& session) {
  v1::GetArchitectureRequest request;
  request.set_name(arguments.positional().front());
  CLIENT_ASSIGN_OR_RETURN(const v1::Architecture architecture,
                          session.client().GetArchitecture(request));
  if (session.json()) {
    session.PrintJson(architecture);
  } else {
    PrintArchitecture(architecture, session);
  }
  return absl::OkStatus();
}

absl::Status RunRegister(const Arguments& arguments, Session& session) {
  v1::RegisterArchitectureRequest request;
  CLIENT_ASSIGN_OR_RETURN(*request.mutable_architecture(),
                          ReadArchitectureFile(arguments.positional().front()));
  if (const auto name = arguments.Get("name"); name.has_value()) {
    request.mutable_architecture()->set_name(*name);
  }
  if (const auto handle = arguments.Get("initial-values"); handle.has_value()) {
    request.mutable_architecture()->set_initial_values(*handle);
  }
  request.set_validate_only(arguments.Has("dry-run"));
  CLIENT_ASSIGN_OR_RETURN(const v1::Architecture architecture,
                          session.client().RegisterArchitecture(request));
  if (session.json()) {
    session.PrintJson(architecture);
  } else {
    session.Print(
        absl::StrCat(request.validate_only() ? "would be " : "registered ",
                     Printable(architecture.name()), ": ",
                     Plural(architecture.entries_size(), "key"), "\n"));
  }
  return absl::OkStatus();
}

absl::Status RunDelete(const Arguments& arguments, Session& session) {
  v1::DeleteArchitectureRequest request;
  request.set_name(arguments.positional().front());
  request.set_force(arguments.Has("force"));
  CLIENT_RETURN_IF_ERROR(session.client().DeleteArchitecture(request));
  session.Print(session.json() ? "{}\n"
                               : absl::StrCat("deleted ",
                                              Printable(request.name()), "\n"));
  return absl::OkStatus();
}

}  // namespace

const Command kArchitecturesListCommand = {
    .name = "architectures list",
    .synopsis = "[NAME]",
    .summary = "List the architectures that can be warm-started.",
    .details =
        "Each in its newest version; with NAME, all versions of that "
        "one.",
    .example =
        "warmstart architectures list\n"
        "warmstart architectures list Head",
    .max_positional = 1,
    .run = RunList,
};

const Command kArchitecturesShowCommand = {
    .name = "architectures show",
    .synopsis = "NAME[/versions/VERSION]",
    .summary = "Show an architecture's keys, shapes and initializers.",
    .details =
        "In its newest version, where none is given. What was registered "
        "as a module is shown as one, too. With --json it is what "
        "`architectures register` takes.",
    .example =
        "warmstart architectures show NetB\n"
        "warmstart architectures show Head/versions/2\n"
        "warmstart architectures show NetB --json > net_b.json",
    .min_positional = 1,
    .max_positional = 1,
    .run = RunShow,
};

const Command kArchitecturesRegisterCommand = {
    .name = "architectures register",
    .synopsis = "FILE.json [flags]",
    .summary = "Register an architecture, by its schema or as a module.",
    .details =
        "FILE.json is an Architecture in proto3 JSON: a name, and its entries "
        "in state_dict order, each with a key and a shape, and perhaps dtype, "
        "buffer and initializer; or a name and the \"module\" that it is, in "
        "torch.nn's terms. - stands for standard input. What differs from all "
        "versions of its name becomes the next one; registering the same again "
        "changes nothing.",
    .example = R"(cat > head.json <<END
{"name": "Head", "entries": [
  {"key": "fc.weight", "shape": [10, 768],
   "initializer": {"kaiming_uniform": {}}},
  {"key": "fc.bias", "shape": [10],
   "initializer": {"fan_in_uniform": {"fan_in": 768}}}]}
END
warmstart architectures register head.json)",
    .flags = kRegisterFlags,
    .min_positional = 1,
    .max_positional = 1,
    .run = RunRegister,
};

const Command kArchitecturesDeleteCommand = {
    .name = "architectures delete",
    .synopsis = "NAME[/versions/VERSION] [--force]",
    .summary = "Delete a version of a registered architecture, or all of them.",
    .example =
        "warmstart architectures delete Head/versions/1\n"
        "warmstart architectures delete Head --force",
    .flags = kDeleteFlags,
    .min_positional = 1,
    .max_positional = 1,
    .run = RunDelete,
};

}  // namespace warmstart::client
