#include "server/format/strict_json.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/format/key_check.h"

namespace warmstart::format {
namespace {

using Kind = JsonEvent::Kind;

// The parser itself does not recurse, so that depth costs it one bit a level;
// what the bound protects is whoever handles the events.
class SaxHandler final : public nlohmann::json_sax<nlohmann::json> {
 public:
  SaxHandler(int max_depth,
             absl::FunctionRef<absl::Status(const JsonEvent&)> sink)
      : max_depth_(max_depth), sink_(sink) {}

  const absl::Status& status() const { return status_; }

  bool null() override { return Emit({Kind::kOther, Depth(), "null"}); }
  bool boolean(bool value) override {
    return Emit({Kind::kOther, Depth(), value ? "true" : "false"});
  }
  bool number_integer(number_integer_t value) override {
    return Emit({Kind::kOther, Depth(), absl::StrCat(value)});
  }
  bool number_unsigned(number_unsigned_t value) override {
    return Emit({Kind::kUnsigned, Depth(), absl::StrCat(value), value});
  }
  bool number_float(number_float_t, const string_t& text) override {
    return Emit({Kind::kOther, Depth(), text});
  }
  bool string(string_t& value) override {
    return Emit({Kind::kString, Depth(), value});
  }
  bool binary(binary_t&) override { return false; }  // never in JSON text

  bool start_object(std::size_t) override { return Open(Kind::kObjectStart); }
  bool end_object() override { return Close(Kind::kObjectEnd); }
  bool start_array(std::size_t) override { return Open(Kind::kArrayStart); }
  bool end_array() override { return Close(Kind::kArrayEnd); }

  bool key(string_t& value) override {
    if (!open_.back().insert(value).second) {
      status_ = absl::InvalidArgumentError(absl::StrCat(
          "JSON: key ", QuoteForMessage(value), " is there twice"));
      return false;
    }
    return Emit({Kind::kKey, Depth(), value});
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    // The library's own text is left out: it quotes the token, however long.
    status_ = absl::InvalidArgumentError(
        absl::StrCat("JSON: syntax error at byte ", position));
    return false;
  }

 private:
  int Depth() const { return static_cast<int>(open_.size()); }

  bool Emit(const JsonEvent& event) {
    status_ = sink_(event);
    return status_.ok();
  }

  bool Open(Kind kind) {
    if (Depth() == max_depth_) {
      status_ = absl::InvalidArgumentError(
          absl::StrCat("JSON: nested deeper than ", max_depth_, " levels"));
      return false;
    }
    if (!Emit({kind, Depth()})) return false;
    open_.emplace_back();
    return true;
  }

  bool Close(Kind kind) {
    open_.pop_back();
    return Emit({kind, Depth()});
  }

  const int max_depth_;
  const absl::FunctionRef<absl::Status(const JsonEvent&)> sink_;
  // For each open object or array, the keys that were seen in it.
  std::vector<absl::flat_hash_set<std::string>> open_;
  absl::Status status_;
};

}  // namespace

absl::Status ParseStrictJson(
    absl::string_view text, int max_depth,
    absl::FunctionRef<absl::Status(const JsonEvent&)> sink) {
  SaxHandler handler(max_depth, sink);
  nlohmann::json::sax_parse(text.begin(), text.end(), &handler);
  return handler.status();
}

}  // namespace warmstart::format
