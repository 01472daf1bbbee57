#include "server/model/key_rule_json.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/model/dtype.h"
#include "server/model/json_writer.h"

namespace warmstart {
namespace {

// proto3's JSON has 64-bit integers as strings, since JavaScript's numbers
// could not hold them.
void WriteInt64(JsonWriter& json, int64_t value) {
  json.String(absl::StrCat(value));
}

void WriteInt64s(JsonWriter& json, absl::string_view key,
                 const std::vector<int64_t>& values) {
  if (values.empty()) return;
  json.Key(key).Array(values, WriteInt64);
}

// The members of each step's object.
struct WriteStep {
  JsonWriter& json;

  void operator()(const ConcatStep& step) const {
    WriteParts("concat", step.dim, step.groups, step.sizes);
  }
  void operator()(const SplitStep& step) const {
    WriteParts("split", step.dim, step.groups, step.sizes);
  }
  void operator()(const StackStep& step) const { WriteDim("stack", step.dim); }
  void operator()(const UnstackStep& step) const {
    WriteDim("unstack", step.dim);
  }
  void operator()(const TransposeStep& step) const {
    json.Key("transpose").BeginObject();
    json.Key("dim0").Int(step.dim0).Key("dim1").Int(step.dim1).EndObject();
  }
  void operator()(const PermuteStep& step) const {
    json.Key("permute").BeginObject().Key("dims").Ints(step.dims).EndObject();
  }
  void operator()(const ReshapeStep& step) const {
    json.Key("reshape").BeginObject();
    WriteInt64s(json, "sizes", step.sizes);
    WriteInt64s(json, "from", step.from);
    json.EndObject();
  }
  void operator()(const SqueezeStep& step) const {
    WriteDim("squeeze", step.dim);
  }
  void operator()(const UnsqueezeStep& step) const {
    WriteDim("unsqueeze", step.dim);
  }
  void operator()(const DeinterleaveStep& step) const {
    json.Key("deinterleave").BeginObject().Key("dim").Int(step.dim);
    WriteInverse(step.inverse);
    json.EndObject();
  }
  void operator()(const RopeStep& step) const {
    json.Key("rope").BeginObject().Key("heads");
    WriteInt64(json, step.heads);
    WriteInverse(step.inverse);
    json.EndObject();
  }
  void operator()(const ScaleStep& step) const {
    json.Key("scale").BeginObject().Key("factor").Double(step.factor);
    json.EndObject();
  }
  void operator()(const CastStep& step) const {
    json.Key("cast").BeginObject().Key("dtype").String(DTypeName(step.dtype));
    json.EndObject();
  }

 private:
  void WriteDim(absl::string_view name, int dim) const {
    json.Key(name).BeginObject().Key("dim").Int(dim).EndObject();
  }
  void WriteParts(absl::string_view name, int dim, int64_t groups,
                  const std::vector<int64_t>& sizes) const {
    json.Key(name).BeginObject().Key("dim").Int(dim);
    if (groups != 1) {
      json.Key("groups");
      WriteInt64(json, groups);
    }
    WriteInt64s(json, "sizes", sizes);
    json.EndObject();
  }
  void WriteInverse(bool inverse) const {
    if (inverse) json.Key("inverse").Bool(true);
  }
};

struct WriteKind {
  JsonWriter& json;

  void operator()(const RenameRule& rule) const {
    json.Key("rename").BeginObject().Key("from").String(rule.from);
    json.Key("to").String(rule.to).EndObject();
  }
  void operator()(const RegexRule& rule) const {
    json.Key("regex").BeginObject().Key("pattern").String(rule.pattern);
    json.Key("replacement").String(rule.replacement).EndObject();
  }
  void operator()(const StripPrefixRule& rule) const {
    json.Key("stripPrefix").String(rule.prefix);
  }
  void operator()(const AddPrefixRule& rule) const {
    json.Key("addPrefix").String(rule.prefix);
  }
  void operator()(const TemplateRule& rule) const {
    json.Key("template").BeginObject().Key("to").String(rule.to);
    json.Key("from").String(rule.from);
    if (!rule.ranges.empty()) {
      json.Key("ranges").Array(rule.ranges, WriteRange);
    }
    json.EndObject();
  }
  void operator()(const ConvertRule& rule) const {
    json.Key("convert").BeginObject().Key("from").Strings(rule.from);
    json.Key("to").Strings(rule.to);
    if (!rule.steps.empty()) {
      json.Key("steps").Array(rule.steps,
                              [](JsonWriter& json, const ConvertStep& step) {
                                json.BeginObject();
                                std::visit(WriteStep{json}, step);
                                json.EndObject();
                              });
    }
    json.EndObject();
  }

 private:
  static void WriteRange(JsonWriter& json, const TemplateRule::Range& range) {
    json.BeginObject().Key("hole").String(range.hole).Key("first");
    WriteInt64(json, range.first);
    json.Key("last");
    WriteInt64(json, range.last);
    json.EndObject();
  }
};

}  // namespace

std::string KeyRuleToJson(const KeyRule& rule) {
  JsonWriter json;
  json.BeginObject();
  std::visit(WriteKind{json}, rule.kind);
  if (!rule.keys.empty()) json.Key("keys").Strings(rule.keys);
  if (rule.source.has_value()) json.Key("source").Int(*rule.source);
  if (rule.priority != 0) json.Key("priority").Int(rule.priority);
  json.EndObject();
  return std::move(json).Take();
}

}  // namespace warmstart
