#include "client/cli/json.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"

namespace warmstart::client {
namespace {

// Finds the first error of a text that is to be JSON, and builds nothing:
// protobuf's parser says what is wrong, but not where.
class SyntaxChecker : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }

  bool parse_error(size_t, const std::string&,
                   const nlohmann::json::exception& error) override {
    message_ = error.what();
    return false;
  }

  // "parse error at line 3, column 5: ..." without the library's own number.
  std::string message() const {
    const size_t bracket = message_.find("] ");
    return bracket == std::string::npos ? message_
                                        : message_.substr(bracket + 2);
  }

 private:
  std::string message_;
};

}  // namespace

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Fails for unknown types in Any and invalid times alone, of which the API's
  // own messages have none.
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &json, options);
  return status.ok() ? json : absl::StrCat("null  // ", status.ToString());
}

absl::Status FromJson(absl::string_view text,
                      google::protobuf::Message& message) {
  SyntaxChecker checker;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &checker)) {
    return absl::InvalidArgumentError(checker.message());
  }
  const auto status = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(text.data(), text.size()), &message);
  if (!status.ok()) {
    const auto reason = status.message();
    return absl::InvalidArgumentError(
        absl::string_view(reason.data(), reason.size()));
  }
  return absl::OkStatus();
}

}  // namespace warmstart::client
