#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/command.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

// "120" or, where there is a limit, "120 of 1,000".
std::string OfLimit(const std::string& text, int64_t limit,
                    std::string (*format)(int64_t)) {
  return limit == 0 ? text : absl::StrCat(text, " of ", format(limit));
}

std::string StoredText(const v1::StoreInfo& store) {
  std::string bytes = OfLimit(FormatBytes(store.stored_bytes()),
                              store.max_bytes(), FormatBytes);
  if (store.receiving_bytes() > 0) {
    absl::StrAppend(&bytes, " and ", FormatBytes(store.receiving_bytes()),
                    " being received");
  }
  return absl::StrCat(bytes, ", ",
                      OfLimit(FormatCount(store.checkpoint_count()),
                              store.max_checkpoints(), FormatCount),
                      " checkpoints");
}

void PrintFacts(const v1::ServerInfo& info, const Session& session) {
  const bool color = session.table_style().color;
  const auto fact = [&](absl::string_view name, absl::string_view value) {
    if (value.empty()) return;
    std::string label(name);
    label.resize(14, ' ');
    session.Print(
        absl::StrCat(Paint(Color::kDim, label, color), Printable(value), "\n"));
  };
  fact("version", info.version());
  fact("torch", info.torch_version());
  fact("started", FormatTime(info.start_time()));
  fact("device", info.default_device());
  fact("CUDA", info.cuda_problem().empty()
                   ? ""
                   : absl::StrCat("none; ", info.cuda_problem()));
  fact("stored", StoredText(info.store()));
  fact("damaged",
       info.store().damaged_tensor_count() == 0
           ? ""
           : absl::StrCat(FormatCount(info.store().damaged_tensor_count()),
                          " tensors; warmstart admin scrub --list"));
  fact("upload",
       info.store().max_upload_bytes() == 0
           ? ""
           : absl::StrCat("up to ",
                          FormatBytes(info.store().max_upload_bytes())));
  fact("keeps", absl::StrJoin(info.store().retention_rules(), " "));
}

void PrintDevices(const v1::ServerInfo& info, const Session& session) {
  Table devices({{"DEVICE"},
                 {"MEMORY", true},
                 {"FREE", true},
                 {"RESIDENT", true},
                 {"LIMIT", true},
                 {"HITS", true},
                 {"MISSES", true},
                 {"EVICTIONS", true},
                 {"DESCRIPTION"}});
  for (const v1::DeviceInfo& device : info.devices()) {
    const v1::ResidentModels& resident = device.resident_models();
    devices.AddRow({{device.name()},
                    {FormatBytes(device.memory_bytes())},
                    {FormatBytes(device.free_memory_bytes())},
                    {FormatBytes(resident.size_bytes())},
                    {FormatBytes(resident.limit_bytes())},
                    {FormatCount(resident.hit_count())},
                    {FormatCount(resident.miss_count())},
                    {FormatCount(resident.eviction_count())},
                    {device.description()}});
  }
  session.Print("\n" + devices.Render(session.table_style()));
}

void PrintModels(const v1::ServerInfo& info, const Session& session) {
  Table models({{"RESIDENT MODEL"},
                {"ARCHITECTURE"},
                {"DEVICE"},
                {"SIZE", true},
                {"IN USE", true}});
  for (const v1::DeviceInfo& device : info.devices()) {
    for (const v1::ResidentModel& model : device.resident_models().models()) {
      models.AddRow({{model.checkpoint()},
                     {model.architecture()},
                     {device.name()},
                     {FormatBytes(model.size_bytes())},
                     {FormatCount(model.use_count())}});
    }
  }
  if (models.empty()) return;
  session.Print("\n" + models.Render(session.table_style()));
}

absl::Status Run(const Arguments&, Session& session) {
  CLIENT_ASSIGN_OR_RETURN(const v1::ServerInfo info,
                          session.client().GetServerInfo());
  if (session.json()) {
    session.PrintJson(info);
    return absl::OkStatus();
  }
  PrintFacts(info, session);
  PrintDevices(info, session);
  PrintModels(info, session);
  return absl::OkStatus();
}

}  // namespace

const Command kInfoCommand = {
    .name = "info",
    .synopsis = "",
    .summary =
        "Tell what the server is: versions, store, devices, resident "
        "models.",
    .example = "warmstart info --server localhost:50051",
    .run = Run,
};

}  // namespace warmstart::client
