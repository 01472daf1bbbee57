#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/architecture_text.h"
#include "client/cli/checkpoint_text.h"
#include "client/cli/command.h"
#include "client/cli/pages.h"
#include "client/cli/text.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

constexpr Flag kDeleteFlags[] = {
    {.name = "force",
     .help = "Deletes it even while checkpoints name it; they stay."},
};

absl::Status RunList(const Arguments&, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(
      const auto response,
      GatherPages<v1::ListArchitecturesResponse>(
          v1::ListArchitecturesRequest(), /*limit=*/0, /*max_page=*/1000,
          [&](const auto& page) {
            return session.client().ListArchitectures(page);
          },
          [](const auto& pages) { return pages.architectures_size(); }));
  if (session.json()) {
    session.PrintJson(response);
    return absl::OkStatus();
  }
  Table table({{"ARCHITECTURE"},
               {"KEYS", /*right_aligned=*/true},
               {"PARAMETERS", /*right_aligned=*/true},
               {"SIZE", /*right_aligned=*/true},
               {"KIND"}});
  for (const v1::ArchitectureSummary& summary : response.architectures()) {
    table.AddRow({{ArchitectureName(summary.name()), Color::kBold},
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
  CLIENT_ASSIGN_OR_RETURN(const v1::Architecture architecture,
                          session.client().RegisterArchitecture(request));
  if (session.json()) {
    session.PrintJson(architecture);
  } else {
    session.Print(absl::StrCat("registered ", Printable(architecture.name()),
                               ": ", Plural(architecture.entries_size(), "key"),
                               "\n"));
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
    .synopsis = "",
    .summary = "List the architectures that can be warm-started.",
    .example = "warmstart architectures list",
    .run = RunList,
};

const Command kArchitecturesShowCommand = {
    .name = "architectures show",
    .synopsis = "NAME",
    .summary = "Show an architecture's keys, shapes and initializers.",
    .details = "With --json it is what `architectures register` takes.",
    .example =
        "warmstart architectures show NetB\n"
        "warmstart architectures show NetB --json > net_b.json",
    .min_positional = 1,
    .max_positional = 1,
    .run = RunShow,
};

const Command kArchitecturesRegisterCommand = {
    .name = "architectures register",
    .synopsis = "FILE.json",
    .summary = "Register an architecture by its schema.",
    .details =
        "FILE.json is an Architecture in proto3 JSON: a name, and its entries "
        "in state_dict order, each with a key and a shape, and perhaps dtype, "
        "buffer and initializer; - stands for standard input. Registering the "
        "same again is no error.",
    .example = R"(cat > head.json <<END
{"name": "Head", "entries": [
  {"key": "fc.weight", "shape": [10, 768],
   "initializer": {"kaiming_uniform": {}}},
  {"key": "fc.bias", "shape": [10],
   "initializer": {"fan_in_uniform": {"fan_in": 768}}}]}
END
warmstart architectures register head.json)",
    .min_positional = 1,
    .max_positional = 1,
    .run = RunRegister,
};

const Command kArchitecturesDeleteCommand = {
    .name = "architectures delete",
    .synopsis = "NAME [--force]",
    .summary = "Delete a registered architecture.",
    .example = "warmstart architectures delete Head",
    .flags = kDeleteFlags,
    .min_positional = 1,
    .max_positional = 1,
    .run = RunDelete,
};

}  // namespace warmstart::client
