#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/pages.h"
#include "client/cli/text.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

absl::Status RunSet(const Arguments& arguments, Session& session) {
  v1::SetAliasRequest request;
  request.set_name(arguments.positional()[0]);
  request.set_checkpoint(arguments.positional()[1]);
  CLIENT_ASSIGN_OR_RETURN(const v1::Alias alias,
                          session.client().SetAlias(request));
  if (session.json()) {
    session.PrintJson(alias);
  } else {
    session.Print(
        Printable(absl::StrCat(alias.name(), " -> ", alias.checkpoint())) +
        "\n");
  }
  return absl::OkStatus();
}

absl::Status RunDelete(const Arguments& arguments, Session& session) {
  v1::DeleteAliasRequest request;
  request.set_name(arguments.positional().front());
  CLIENT_RETURN_IF_ERROR(session.client().DeleteAlias(request));
  session.Print(session.json() ? "{}\n"
                               : absl::StrCat("deleted alias ",
                                              Printable(request.name()), "\n"));
  return absl::OkStatus();
}

absl::Status RunList(const Arguments&, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(
      const auto response,
      GatherPages<v1::ListAliasesResponse>(
          v1::ListAliasesRequest(), /*limit=*/0, /*max_page=*/1000,
          [&](const auto& page) { return session.client().ListAliases(page); },
          [](const auto& pages) { return pages.aliases_size(); }));
  if (session.json()) {
    session.PrintJson(response);
    return absl::OkStatus();
  }
  Table table({{"ALIAS"}, {"CHECKPOINT"}, {"SET"}});
  for (const v1::Alias& alias : response.aliases()) {
    table.AddRow({{alias.name(), Color::kBold},
                  {alias.checkpoint()},
                  {FormatTime(alias.update_time())}});
  }
  if (table.empty()) {
    session.console().err << "no aliases\n";
  } else {
    session.Print(table.Render(session.table_style()));
  }
  return absl::OkStatus();
}

}  // namespace

const Command kAliasSetCommand = {
    .name = "alias set",
    .synopsis = "NAME HANDLE",
    .summary = "Make an alias, or point it to another checkpoint.",
    .example = "warmstart alias set resnet50/prod checkpoints/ab12",
    .min_positional = 2,
    .max_positional = 2,
    .run = RunSet,
};

const Command kAliasDeleteCommand = {
    .name = "alias delete",
    .synopsis = "NAME",
    .summary = "Delete an alias. The checkpoint stays.",
    .example = "warmstart alias delete resnet50/prod",
    .min_positional = 1,
    .max_positional = 1,
    .run = RunDelete,
};

const Command kAliasListCommand = {
    .name = "alias list",
    .synopsis = "",
    .summary = "List aliases.",
    .example = "warmstart alias list",
    .run = RunList,
};

}  // namespace warmstart::client
