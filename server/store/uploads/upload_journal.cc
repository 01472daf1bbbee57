#include "server/store/uploads/upload_journal.h"

#include <exception>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/model/digest.h"
#include "server/model/json_writer.h"

namespace warmstart::store {
namespace {

using Json = nlohmann::json;

constexpr size_t kCheckSize = 16;

std::string CheckOf(absl::string_view json) {
  return Digest::Of(json).ToHex().substr(0, kCheckSize);
}

std::string Line(JsonWriter json) {
  const std::string text = std::move(json).Take();
  return absl::StrCat(CheckOf(text), " ", text, "\n");
}

// Takes the next line off `text` and returns its JSON; "" where none is whole.
absl::string_view TakeLine(absl::string_view& text) {
  const size_t end = text.find('\n');
  if (end == absl::string_view::npos || end <= kCheckSize) return "";
  const absl::string_view check = text.substr(0, kCheckSize);
  const absl::string_view json =
      text.substr(kCheckSize + 1, end - kCheckSize - 1);
  if (text[kCheckSize] != ' ' || check != CheckOf(json)) return "";
  text.remove_prefix(end + 1);
  return json;
}

absl::Time TimeOf(const Json& json, const char* key) {
  return absl::FromUnixNanos(json.at(key).get<int64_t>());
}

UploadHistory Begin(const Json& json) {
  UploadHistory history;
  history.create_time = TimeOf(json, "create_time");
  history.write_time = history.create_time;
  for (const Json& file : json.at("files")) {
    history.files.push_back(
        {file.at("name").get<std::string>(), file.at("size").get<int64_t>()});
  }
  return history;
}

void Add(const Json& json, UploadHistory& history) {
  if (json.contains("committed")) {
    history.write_time = TimeOf(json, "time");
    for (const Json& pair : json.at("committed")) {
      history.files.at(pair.at(0).get<size_t>()).committed_bytes =
          pair.at(1).get<int64_t>();
    }
  }
  if (json.contains("checkpoint")) {
    auto name = CheckpointName::Parse(json.at("checkpoint").get<std::string>());
    if (name.ok()) history.taken_for.push_back(*std::move(name));
  }
  history.is_deleted |= json.contains("deleted");
}

UploadHistory Read(absl::string_view text) {
  const size_t size = text.size();
  absl::string_view json = TakeLine(text);
  UploadHistory history = Begin(Json::parse(json.begin(), json.end()));
  while (true) {
    history.num_bytes = static_cast<int64_t>(size - text.size());
    json = TakeLine(text);
    if (json.empty()) return history;
    Add(Json::parse(json.begin(), json.end()), history);
  }
}

}  // namespace

std::string CreatedLine(absl::Time create_time,
                        absl::Span<const UploadFile> files) {
  JsonWriter json;
  json.BeginObject().Key("create_time").Int(absl::ToUnixNanos(create_time));
  json.Key("files").Array(files, [](JsonWriter& writer, const auto& file) {
    writer.BeginObject().Key("name").String(file.name);
    writer.Key("size").Int(file.num_bytes).EndObject();
  });
  return Line(std::move(json.EndObject()));
}

std::string CommittedLine(absl::Time time,
                          absl::Span<const CommittedBytes> committed) {
  JsonWriter json;
  json.BeginObject().Key("time").Int(absl::ToUnixNanos(time));
  json.Key("committed")
      .Array(committed, [](JsonWriter& writer, const CommittedBytes& each) {
        writer.BeginArray().Int(each.file).Int(each.num_bytes).EndArray();
      });
  return Line(std::move(json.EndObject()));
}

std::string TakenLine(const CheckpointName& checkpoint) {
  JsonWriter json;
  json.BeginObject().Key("checkpoint").String(checkpoint.ToString());
  return Line(std::move(json.EndObject()));
}

std::string DeletedLine() {
  JsonWriter json;
  json.BeginObject().Key("deleted").Bool(true);
  return Line(std::move(json.EndObject()));
}

absl::StatusOr<UploadHistory> ReadUploadJournal(absl::string_view text) {
  // nlohmann::json reports by exceptions; they end here.
  try {
    return Read(text);
  } catch (const std::exception& error) {
    return absl::DataLossError(
        absl::StrCat("an upload's journal cannot be read: ", error.what()));
  }
}

}  // namespace warmstart::store
