// JsonWriter: writes JSON text as it goes. What is written with every
// checkpoint goes through it, since building a tree of values first takes
// several times as long.

#ifndef WARMSTART_SERVER_MODEL_JSON_WRITER_H_
#define WARMSTART_SERVER_MODEL_JSON_WRITER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace warmstart {

// Sets the commas; that objects and arrays are ended, and that every key has a
// value, is up to the caller. The methods return *this, to be chained:
//   json.BeginObject().Key("name").String(name).EndObject();
class JsonWriter {
 public:
  JsonWriter& BeginObject() { return Begin('{'); }
  JsonWriter& EndObject() { return End('}'); }
  JsonWriter& BeginArray() { return Begin('['); }
  JsonWriter& EndArray() { return End(']'); }

  // In an object, before each value. `key` needs no escaping.
  JsonWriter& Key(absl::string_view key);

  // Bytes that are no UTF-8 become U+FFFD: JSON cannot hold them.
  JsonWriter& String(absl::string_view value);
  JsonWriter& Int(int64_t value);
  // The shortest text that reads as `value`; null where it is not finite.
  JsonWriter& Double(double value);
  JsonWriter& Bool(bool value);

  // An array of what `write(*this, value)` writes for each of `values`.
  template <typename Values, typename Write>
  JsonWriter& Array(const Values& values, Write write) {
    BeginArray();
    for (const auto& value : values) write(*this, value);
    return EndArray();
  }
  template <typename Values>
  JsonWriter& Strings(const Values& values) {
    return Array(values, [](JsonWriter& json, absl::string_view value) {
      json.String(value);
    });
  }
  template <typename Values>
  JsonWriter& Ints(const Values& values) {
    return Array(values,
                 [](JsonWriter& json, int64_t value) { json.Int(value); });
  }

  // The text; the writer is of no use any more.
  std::string Take() && { return std::move(text_); }

 private:
  JsonWriter& Begin(char bracket);
  JsonWriter& End(char bracket);
  void BeginValue();
  void AppendEscaped(absl::string_view value);

  std::string text_;
  bool needs_comma_ = false;  // before the next key or value
};

}  // namespace warmstart

#endif  // WARMSTART_SERVER_MODEL_JSON_WRITER_H_
