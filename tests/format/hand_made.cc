#include "tests/format/hand_made.h"

#include <libdeflate.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace warmstart::format::hand_made {

std::string Number(uint64_t value, int width) {
  std::string bytes;
  for (int i = 0; i < width; ++i) {
    bytes.push_back(static_cast<char>(value >> (8 * i)));
  }
  return bytes;
}

std::string Int(int64_t value) {
  return absl::StrCat("\x8a\x08", Number(static_cast<uint64_t>(value), 8));
}

std::string Text(absl::string_view text) {
  return absl::StrCat("X", Number(text.size(), 4), text);
}

std::string Tuple(const std::vector<std::string>& items) {
  return absl::StrCat("(", absl::StrJoin(items, ""), "t");
}

std::string List(const std::vector<std::string>& items) {
  return absl::StrCat("](", absl::StrJoin(items, ""), "e");
}

std::string Dict(
    const std::vector<std::pair<std::string, std::string>>& items) {
  return absl::StrCat("}(", absl::StrJoin(items, "", absl::PairFormatter("")),
                      "u");
}

std::string Global(absl::string_view module, absl::string_view name) {
  return absl::StrCat("c", module, "\n", name, "\n");
}

std::string Call(const std::string& callable,
                 const std::vector<std::string>& arguments) {
  return absl::StrCat(callable, Tuple(arguments), "R");
}

std::string Build(const std::string& object, const std::string& state) {
  return absl::StrCat(object, state, "b");
}

std::string Persistent(const std::string& what) {
  return absl::StrCat(what, "Q");
}

std::string Storage(absl::string_view type, absl::string_view key, int64_t size,
                    const std::vector<std::string>& more) {
  std::vector<std::string> fields = {
      Text("storage"), Global("torch", absl::StrCat(type, "Storage")),
      Text(key), Text("cpu"), Int(size)};
  fields.insert(fields.end(), more.begin(), more.end());
  return Persistent(Tuple(fields));
}

std::string Ints(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (int64_t value : values) items.push_back(Int(value));
  return Tuple(items);
}

std::string Tensor(const std::string& storage, int64_t offset,
                   const std::vector<int64_t>& sizes,
                   const std::vector<int64_t>& strides) {
  return Call(Global("torch._utils", "_rebuild_tensor_v2"),
              {storage, Int(offset), Ints(sizes), Ints(strides), "\x89",
               Call(Global("collections", "OrderedDict"), {})});
}

std::string FloatVector(absl::string_view key, int64_t size) {
  return Tensor(Storage("Float", key, size), 0, {size}, {1});
}

std::string Zip(const std::vector<ZipEntry>& entries, const ZipEnd& end) {
  std::string file;
  std::string directory;
  for (const ZipEntry& entry : entries) {
    const uint32_t crc32 = entry.crc32.value_or(
        libdeflate_crc32(0, entry.data.data(), entry.data.size()));
    const uint32_t size =
        entry.size.value_or(static_cast<uint32_t>(entry.data.size()));
    const uint32_t stored_size = entry.stored_size.value_or(size);
    const std::string facts =
        absl::StrCat(Number(entry.flags, 2), Number(entry.method, 2),
                     Number(0, 4), Number(crc32, 4), Number(stored_size, 4),
                     Number(size, 4), Number(entry.name.size(), 2));
    absl::StrAppend(&directory, "PK\1\2", Number(20, 2), Number(20, 2), facts,
                    Number(entry.extra.size(), 2), std::string(10, '\0'),
                    Number(entry.local_offset.value_or(file.size()), 4),
                    entry.name, entry.extra);
    absl::StrAppend(&file, "PK\3\4", Number(20, 2), facts, Number(0, 2),
                    entry.local_name.value_or(entry.name), entry.data);
  }
  const size_t offset = end.directory_offset.value_or(file.size());
  const size_t size = end.directory_size.value_or(directory.size());
  const uint16_t count =
      end.num_records.value_or(static_cast<uint16_t>(entries.size()));
  return absl::StrCat(file, directory, "PK\5\6", Number(0, 4), Number(count, 2),
                      Number(count, 2), Number(size, 4), Number(offset, 4),
                      Number(end.comment.size(), 2), end.comment);
}

std::string TorchZip(const std::string& value, const Storages& storages) {
  std::vector<ZipEntry> entries = {{"archive/data.pkl", value + "."}};
  for (const auto& [key, bytes] : storages) {
    entries.push_back({absl::StrCat("archive/data/", key), bytes});
  }
  return Zip(entries);
}

std::string TorchLegacy(const std::string& value,
                        const std::vector<LegacyStorage>& storages) {
  std::vector<std::string> keys;
  std::string data;
  for (const LegacyStorage& storage : storages) {
    keys.push_back(Text(storage.key));
    absl::StrAppend(&data, Number(static_cast<uint64_t>(storage.size), 8),
                    storage.bytes);
  }
  return absl::StrCat(
      "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", Int(1001),
      ".", Dict({}), ".", value, ".", List(keys), ".", data);
}

std::string Tar(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string archive;
  for (const auto& [name, data] : files) {
    std::string header(512, '\0');
    header.replace(0, name.size(), name);
    header.replace(124, 11, absl::StrFormat("%011o", data.size()));
    header.replace(148, 8, "        ");
    header[156] = '0';
    header.replace(257, 5, "ustar");
    uint32_t sum = 0;
    for (char c : header) sum += static_cast<uint8_t>(c);
    header.replace(148, 6, absl::StrFormat("%06o", sum));
    header[154] = '\0';
    absl::StrAppend(&archive, header, data,
                    std::string((512 - data.size() % 512) % 512, '\0'));
  }
  return absl::StrCat(archive, std::string(1024, '\0'));
}

std::string Floats(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

}  // namespace warmstart::format::hand_made
