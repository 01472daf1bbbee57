#include "client/cli/initializer_flag.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "client/cli/usage_error.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The kind and what stands in its parentheses.
struct Call {
  std::string kind;
  std::string arguments;
};

absl::StatusOr<Call> ReadShort(const std::string& kind,
                               const std::string& value) {
  if (kind == "constant") return Call{kind, value};
  if (kind == "normal") return Call{kind, absl::StrCat("std=", value)};
  if (kind == "uniform") {
    double bound = 0;
    if (!absl::SimpleAtod(value, &bound)) {
      return UsageError(
          absl::StrCat("--init uniform: '", value, "' is not a number"));
    }
    return Call{kind, absl::StrCat("low=-", value, ",high=", value)};
  }
  return UsageError(absl::StrCat("--init: ", kind, " has no short form; write ",
                                 kind, "(NAME=VALUE)"));
}

absl::StatusOr<Call> ReadCall(const std::string& text) {
  const size_t open = text.find('(');
  if (open != std::string::npos) {
    if (!absl::EndsWith(text, ")")) {
      return UsageError(
          absl::StrCat("--init: '", text, "' has no ')' at its end"));
    }
    return Call{text.substr(0, open),
                text.substr(open + 1, text.size() - open - 2)};
  }
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return Call{text, ""};
  return ReadShort(text.substr(0, colon), text.substr(colon + 1));
}

std::vector<std::string> NamesOfKinds() {
  const auto* kinds = v1::Initializer::descriptor()->FindOneofByName("kind");
  std::vector<std::string> names;
  for (int i = 0; i < kinds->field_count(); ++i) {
    const std::string name(kinds->field(i)->name());
    if (name != "stored") names.push_back(name);
  }
  return names;
}

absl::StatusOr<const FieldDescriptor*> FieldOf(const Descriptor& type,
                                               const std::string& name,
                                               const std::string& what) {
  if (const FieldDescriptor* field = type.FindFieldByName(name)) return field;
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) {
    names.emplace_back(type.field(i)->name());
  }
  return UsageError(absl::StrCat(
      what, " has no '", name, "'",
      names.empty() ? ""
                    : absl::StrCat("; it has ", absl::StrJoin(names, ", "))));
}

absl::Status SetField(const FieldDescriptor* field, const std::string& value,
                      const std::string& what, Message& message) {
  const google::protobuf::Reflection* reflection = message.GetReflection();
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    reflection->SetString(&message, field, value);
    return absl::OkStatus();
  }
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
    int64_t number = 0;
    if (absl::SimpleAtoi(value, &number)) {
      reflection->SetInt64(&message, field, number);
      return absl::OkStatus();
    }
    return UsageError(
        absl::StrCat(what, ": '", value, "' is not a whole number"));
  }
  double number = 0;
  if (absl::SimpleAtod(value, &number) && std::isfinite(number)) {
    reflection->SetDouble(&message, field, number);
    return absl::OkStatus();
  }
  return UsageError(absl::StrCat(what, ": '", value, "' is not a number"));
}

// "std=0.02", or "0.02" where the kind has one field alone.
absl::Status SetArgument(absl::string_view argument, const std::string& what,
                         Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  std::vector<std::string> parts =
      absl::StrSplit(argument, absl::MaxSplits('=', 1));
  if (parts.size() == 1) {
    if (type.field_count() != 1) {
      return UsageError(
          absl::StrCat(what, ": '", argument, "' is not NAME=VALUE"));
    }
    parts.insert(parts.begin(), std::string(type.field(0)->name()));
  }
  CLIENT_ASSIGN_OR_RETURN(
      const FieldDescriptor* field,
      FieldOf(type, std::string(absl::StripAsciiWhitespace(parts[0])), what));
  return SetField(field, std::string(absl::StripAsciiWhitespace(parts[1])),
                  what, message);
}

}  // namespace

absl::StatusOr<v1::Initializer> ReadInitializer(const std::string& text) {
  CLIENT_ASSIGN_OR_RETURN(const Call call, ReadCall(text));
  if (call.kind == "stored") {
    return UsageError(
        "--init: stored values belong to an architecture; take values from a "
        "source with --from");
  }
  const auto* kinds = v1::Initializer::descriptor()->FindOneofByName("kind");
  const FieldDescriptor* field =
      v1::Initializer::descriptor()->FindFieldByName(call.kind);
  if (field == nullptr || field->containing_oneof() != kinds) {
    return UsageError(absl::StrCat("--init: '", call.kind, "' is none of ",
                                   absl::StrJoin(NamesOfKinds(), ", ")));
  }
  v1::Initializer initializer;
  Message& message =
      *initializer.GetReflection()->MutableMessage(&initializer, field);
  for (const absl::string_view argument :
       absl::StrSplit(call.arguments, ',', absl::SkipWhitespace())) {
    CLIENT_RETURN_IF_ERROR(
        SetArgument(argument, absl::StrCat("--init ", call.kind), message));
  }
  return initializer;
}

}  // namespace warmstart::client
