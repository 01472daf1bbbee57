#include "client/cli/yaml.h"

#include <yaml-cpp/yaml.h>

#include <cmath>
#include <cstdint>
#include <exception>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace warmstart::client {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxValues = 100'000;
constexpr int kMaxDepth = 100;

class Refused : public std::exception {
 public:
  Refused(const YAML::Mark& mark, absl::string_view problem)
      : what_(absl::StrCat("line ", mark.line + 1, ", column ", mark.column + 1,
                           ": ", problem)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

// What YAML's core schema makes of a scalar without quotes.
Json PlainScalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" ||
      text == "NULL") {
    return nullptr;
  }
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  const bool numeric =
      text.find_first_not_of("+-.0123456789eE") == std::string::npos &&
      text.find_first_of("0123456789") != std::string::npos;
  if (!numeric) return text;
  if (int64_t number = 0; absl::SimpleAtoi(text, &number)) return number;
  if (double number = 0;
      absl::SimpleAtod(text, &number) && std::isfinite(number)) {
    return number;
  }
  return text;
}

// Aliases are followed, so a small file can stand for a large value: values are
// counted.
class Converter {
 public:
  Json Convert(const YAML::Node& node, int depth = 0) {
    if (++count_ > kMaxValues || depth > kMaxDepth) {
      throw Refused(node.Mark(), "there are too many values");
    }
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        // The tag of a quoted scalar is "!".
        return node.Tag() == "!" ? Json(node.Scalar())
                                 : PlainScalar(node.Scalar());
      case YAML::NodeType::Sequence: {
        Json list = Json::array();
        for (const YAML::Node& item : node) {
          list.push_back(Convert(item, depth + 1));
        }
        return list;
      }
      case YAML::NodeType::Map: {
        Json object = Json::object();
        for (const auto& item : node) {
          if (!item.first.IsScalar()) {
            throw Refused(item.first.Mark(), "a key is no text");
          }
          object[item.first.Scalar()] = Convert(item.second, depth + 1);
        }
        return object;
      }
      default:
        return nullptr;
    }
  }

 private:
  int count_ = 0;
};

}  // namespace

absl::StatusOr<std::string> YamlToJson(absl::string_view text) {
  try {
    return Converter().Convert(YAML::Load(std::string(text))).dump();
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(Refused(error.mark, error.msg).what());
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace warmstart::client
