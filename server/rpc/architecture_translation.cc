#include "server/rpc/architecture_translation.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/rpc/initializer_translation.h"
#include "server/rpc/response_translation.h"

namespace warmstart::rpc {
namespace {

absl::StatusOr<ArchitectureEntry> FromProto(const v1::ArchitectureEntry& proto,
                                            int index) {
  const std::string field = absl::StrCat("architecture.entries[", index, "]");
  ArchitectureEntry entry;
  entry.key = proto.key();
  absl::StatusOr<DType> dtype =
      proto.dtype().empty() ? DType::kFloat32 : ParseDType(proto.dtype());
  if (!dtype.ok()) {
    return InvalidField(absl::StrCat(field, ".dtype"),
                        dtype.status().message());
  }
  absl::StatusOr<Shape> shape =
      Shape::Create({proto.shape().begin(), proto.shape().end()});
  if (!shape.ok()) {
    return InvalidField(absl::StrCat(field, ".shape"),
                        shape.status().message());
  }
  absl::StatusOr<TensorSpec> spec =
      TensorSpec::Create(*dtype, *std::move(shape));
  if (!spec.ok()) {
    return InvalidField(absl::StrCat(field, ".shape"), spec.status().message());
  }
  entry.spec = *std::move(spec);
  entry.kind = proto.buffer() ? EntryKind::kBuffer : EntryKind::kParameter;
  ASSIGN_OR_RETURN(
      entry.initializer,
      rpc::FromProto(proto.initializer(), absl::StrCat(field, ".initializer")));
  entry.tied_to = proto.tied_to();
  return entry;
}

// Modules that are nested deeper are refused, so that no request exhausts the
// stack.
constexpr int kMaxDepth = 64;

absl::StatusOr<OptionValue> FromProto(const google::protobuf::Value& proto,
                                      const std::string& field, int depth = 0) {
  using google::protobuf::Value;
  switch (proto.kind_case()) {
    case Value::KIND_NOT_SET:
    case Value::kNullValue:
      return OptionValue{};
    case Value::kBoolValue:
      return OptionValue{proto.bool_value()};
    case Value::kNumberValue:
      return OptionValue{proto.number_value()};
    case Value::kStringValue:
      return OptionValue{proto.string_value()};
    case Value::kListValue: {
      if (depth == kMaxDepth) return InvalidField(field, "is nested too deep");
      OptionValue::Tuple tuple;
      for (const Value& element : proto.list_value().values()) {
        ASSIGN_OR_RETURN(OptionValue value,
                         FromProto(element, field, depth + 1));
        tuple.push_back(std::move(value));
      }
      return OptionValue{std::move(tuple)};
    }
    case Value::kStructValue:
      break;
  }
  return InvalidField(field,
                      "is an object, where torch.nn takes numbers, texts, "
                      "flags and lists");
}

absl::StatusOr<ModuleDeclaration> FromProto(const v1::ModuleDeclaration& proto,
                                            const std::string& field,
                                            int depth = 0) {
  if (depth == kMaxDepth) {
    return InvalidField(field,
                        absl::StrCat("is nested deeper than ", kMaxDepth));
  }
  ModuleDeclaration module;
  module.type = proto.type();
  module.name = proto.name();
  for (const auto& [name, value] : proto.options().fields()) {
    ASSIGN_OR_RETURN(module.options[name],
                     FromProto(value, absl::StrCat(field, ".options.", name)));
  }
  for (int i = 0; i < proto.children_size(); ++i) {
    ASSIGN_OR_RETURN(
        ModuleDeclaration child,
        FromProto(proto.children(i), absl::StrCat(field, ".children[", i, "]"),
                  depth + 1));
    module.children.push_back(std::move(child));
  }
  return module;
}

struct OptionToProto {
  google::protobuf::Value* proto;

  void operator()(std::monostate) const {
    proto->set_null_value(google::protobuf::NULL_VALUE);
  }
  void operator()(bool flag) const { proto->set_bool_value(flag); }
  void operator()(double number) const { proto->set_number_value(number); }
  void operator()(const std::string& text) const {
    proto->set_string_value(text);
  }
  void operator()(const OptionValue::Tuple& tuple) const {
    google::protobuf::ListValue* list = proto->mutable_list_value();
    for (const OptionValue& element : tuple) {
      std::visit(OptionToProto{list->add_values()}, element.value);
    }
  }
};

void ToProto(const ModuleDeclaration& module, v1::ModuleDeclaration* proto) {
  proto->set_type(module.type);
  proto->set_name(module.name);
  if (!module.options.empty()) {
    auto& fields = *proto->mutable_options()->mutable_fields();
    for (const auto& [name, option] : module.options) {
      std::visit(OptionToProto{&fields[name]}, option.value);
    }
  }
  for (const ModuleDeclaration& child : module.children) {
    ToProto(child, proto->add_children());
  }
}

}  // namespace

absl::StatusOr<Architecture> FromProto(const v1::Architecture& proto) {
  Architecture architecture;
  architecture.name = proto.name();
  for (int i = 0; i < proto.entries_size(); ++i) {
    ASSIGN_OR_RETURN(ArchitectureEntry entry, FromProto(proto.entries(i), i));
    architecture.entries.push_back(std::move(entry));
  }
  for (const v1::Module& module : proto.modules()) {
    architecture.modules.push_back(
        {module.path(), module.version() == 0 ? 1 : module.version()});
  }
  if (proto.has_module()) {
    ASSIGN_OR_RETURN(architecture.module,
                     FromProto(proto.module(), "architecture.module"));
  }
  return architecture;
}

void ToProto(const Architecture& architecture, v1::Architecture* proto) {
  proto->set_name(ArchitectureResource(VersionedName(architecture)));
  for (const ArchitectureEntry& entry : architecture.entries) {
    v1::ArchitectureEntry* out = proto->add_entries();
    out->set_key(entry.key);
    ToProto(entry.spec.shape(), out->mutable_shape());
    out->set_dtype(std::string(DTypeName(entry.spec.dtype())));
    out->set_buffer(entry.kind == EntryKind::kBuffer);
    ToProto(entry.initializer, out->mutable_initializer());
    out->set_tied_to(entry.tied_to);
  }
  for (const ModuleVersion& module : architecture.modules) {
    v1::Module* out = proto->add_modules();
    out->set_path(module.path);
    out->set_version(module.version);
  }
  proto->set_version(architecture.version);
  if (architecture.module.has_value()) {
    ToProto(*architecture.module, proto->mutable_module());
  }
  if (architecture.initial_values.has_value()) {
    proto->set_initial_values(architecture.initial_values->ToString());
  }
}

void ToProto(const Architecture& architecture, v1::ArchitectureSummary* proto) {
  proto->set_name(ArchitectureResource(VersionedName(architecture)));
  proto->set_version(architecture.version);
  proto->set_entry_count(static_cast<int64_t>(architecture.entries.size()));
  int64_t parameters = 0;
  int64_t bytes = 0;
  for (const ArchitectureEntry& entry : architecture.entries) {
    parameters += entry.spec.num_elements();
    bytes += entry.spec.num_bytes();
  }
  proto->set_parameter_count(parameters);
  proto->set_size_bytes(bytes);
}

}  // namespace warmstart::rpc
