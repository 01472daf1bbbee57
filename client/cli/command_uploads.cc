#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/pages.h"
#include "client/cli/text.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

std::string FilesOf(const v1::Upload& upload) {
  if (upload.files_size() == 1) return upload.files(0).name();
  return Plural(upload.files_size(), "file");
}

// "12 MiB of 1.5 GiB"
std::string HowFar(const v1::Upload& upload) {
  int64_t committed = 0;
  int64_t size = 0;
  for (const v1::UploadFile& file : upload.files()) {
    committed += file.committed_bytes();
    size += file.size();
  }
  return absl::StrCat(FormatBytes(committed), " of ", FormatBytes(size));
}

absl::Status RunList(const Arguments&, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(
      const auto response,
      GatherPages<v1::ListUploadsResponse>(
          v1::ListUploadsRequest(), /*limit=*/0, /*max_page=*/1000,
          [&](const auto& page) { return session.client().ListUploads(page); },
          [](const auto& pages) { return pages.uploads_size(); }));
  if (session.json()) {
    session.PrintJson(response);
    return absl::OkStatus();
  }
  Table table({{"UPLOAD"}, {"FILES"}, {"RECEIVED"}, {"BEGUN"}, {"EXPIRES"}});
  for (const v1::Upload& upload : response.uploads()) {
    table.AddRow({{upload.name(), Color::kBold},
                  {FilesOf(upload)},
                  {HowFar(upload)},
                  {FormatTime(upload.create_time())},
                  {FormatTime(upload.expire_time())}});
  }
  if (table.empty()) {
    session.console().err << "no uploads\n";
  } else {
    session.Print(table.Render(session.table_style()));
  }
  return absl::OkStatus();
}

absl::Status RunDelete(const Arguments& arguments, Session& session) {
  v1::DeleteUploadRequest request;
  request.set_name(arguments.positional().front());
  CLIENT_RETURN_IF_ERROR(session.client().DeleteUpload(request));
  session.Print(session.json() ? "{}\n"
                               : absl::StrCat("deleted ",
                                              Printable(request.name()), "\n"));
  return absl::OkStatus();
}

}  // namespace

const Command kUploadsListCommand = {
    .name = "uploads list",
    .synopsis = "",
    .summary = "List uploads that are under way, or were broken off.",
    .details = "`warmstart save --resume UPLOAD FILE...` goes on with one.",
    .example = "warmstart uploads list",
    .run = RunList,
};

const Command kUploadsDeleteCommand = {
    .name = "uploads delete",
    .synopsis = "UPLOAD",
    .summary = "Delete an upload and what the server has of it.",
    .example = "warmstart uploads delete uploads/ab12",
    .min_positional = 1,
    .max_positional = 1,
    .run = RunDelete,
};

}  // namespace warmstart::client
