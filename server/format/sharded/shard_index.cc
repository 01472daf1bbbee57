#include "server/format/sharded/shard_index.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/strict_json.h"

namespace warmstart::format {
namespace {

constexpr char kWeightMap[] = "weight_map";
constexpr char kMetadata[] = "metadata";
// What others put in "metadata" is one level deep; some more does no harm.
constexpr int kMaxDepth = 16;

absl::Status CheckShardName(absl::string_view key, absl::string_view shard) {
  // A name that passes is one that could be a key, but for its slashes.
  if (CheckKey(shard).ok() && !absl::StrContains(shard, "/") &&
      !absl::StrContains(shard, "\\")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("weight_map: the shard ", QuoteForMessage(shard), " of key ",
                   QuoteForMessage(key), " is no plain file name"));
}

// Turns the events of the index into a ShardIndex.
class IndexParser {
 public:
  absl::Status On(const JsonEvent& event) {
    if (event.depth == 0) {
      return event.kind == Kind::kObjectStart || event.kind == Kind::kObjectEnd
                 ? absl::OkStatus()
                 : absl::InvalidArgumentError("the index is not an object");
    }
    if (event.depth == 1) return OnMember(event);
    if (event.depth == 2 && member_ == kWeightMap) return OnWeight(event);
    return absl::OkStatus();
  }

  absl::StatusOr<ShardIndex> Take() {
    if (!has_weight_map_) {
      return absl::InvalidArgumentError("the index has no weight_map");
    }
    if (index_.shards.empty()) {
      return absl::InvalidArgumentError("weight_map is empty");
    }
    return std::move(index_);
  }

 private:
  using Kind = JsonEvent::Kind;

  absl::Status OnMember(const JsonEvent& event) {
    if (event.kind == Kind::kKey) {
      member_ = std::string(event.text);
      return absl::OkStatus();
    }
    if ((member_ == kWeightMap || member_ == kMetadata) &&
        event.kind != Kind::kObjectStart && event.kind != Kind::kObjectEnd) {
      return absl::InvalidArgumentError(
          absl::StrCat(member_, " is not an object"));
    }
    if (member_ == kWeightMap) has_weight_map_ = true;
    return absl::OkStatus();
  }

  absl::Status OnWeight(const JsonEvent& event) {
    if (event.kind == Kind::kKey) {
      RETURN_IF_ERROR(CheckKey(event.text));
      key_ = std::string(event.text);
      return absl::OkStatus();
    }
    if (event.kind != Kind::kString) {
      return absl::InvalidArgumentError(
          absl::StrCat("weight_map: the shard of key ", QuoteForMessage(key_),
                       " is not a string"));
    }
    const auto [shard, is_new] = number_of_shard_.try_emplace(
        std::string(event.text), static_cast<int>(index_.shards.size()));
    if (is_new) {
      RETURN_IF_ERROR(CheckShardName(key_, event.text));
      index_.shards.push_back(shard->first);
    }
    index_.shard_of_key.emplace(std::move(key_), shard->second);
    return absl::OkStatus();
  }

  ShardIndex index_;
  absl::flat_hash_map<std::string, int> number_of_shard_;
  bool has_weight_map_ = false;
  std::string member_;
  std::string key_;
};

// The member "metadata" of text that ParseStrictJson has seen to be fine.
std::string MetadataOf(absl::string_view text) {
  using nlohmann::json;
  // So that no tree is made of the much larger weight_map.
  const auto keep = [](int depth, json::parse_event_t event, json& parsed) {
    return event != json::parse_event_t::key || depth != 1 ||
           parsed == kMetadata;
  };
  const json index = json::parse(text.begin(), text.end(), keep,
                                 /*allow_exceptions=*/false);
  const auto metadata = index.find(kMetadata);
  if (metadata == index.end() || metadata->empty()) return "";
  return metadata->dump();
}

}  // namespace

bool IsShardIndex(absl::string_view bytes) {
  constexpr size_t kLengthBytes = 8;  // of a safetensors header's length
  return absl::StartsWith(absl::StripLeadingAsciiWhitespace(bytes), "{") &&
         !absl::StrContains(bytes.substr(0, kLengthBytes),
                            absl::string_view("\0", 1));
}

absl::StatusOr<ShardIndex> ParseShardIndex(absl::string_view bytes) {
  IndexParser parser;
  RETURN_IF_ERROR(ParseStrictJson(
      bytes, kMaxDepth,
      [&parser](const JsonEvent& event) { return parser.On(event); }));
  ASSIGN_OR_RETURN(ShardIndex index, parser.Take());
  index.metadata_json = MetadataOf(bytes);
  return index;
}

}  // namespace warmstart::format
