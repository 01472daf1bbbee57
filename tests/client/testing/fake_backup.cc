#include "tests/client/testing/fake_backup.h"

#include <algorithm>

#include "client/cpp/backup/sha256.h"

namespace warmstart::client {
namespace {

constexpr int64_t kChunkBytes = 1000;

std::string DigestOf(const std::string& bytes) {
  Sha256 sha256;
  sha256.Update(bytes);
  return sha256.FinishHex();
}

}  // namespace

std::string PackName(char letter) { return std::string(32, letter); }

grpc::Status FakeBackup::Answer(Stream& stream) {
  std::vector<v1::HeldPack>& told = held.emplace_back();
  v1::BackUpStoreRequest request;
  while (stream.Read(&request)) {
    told.insert(told.end(), request.held_packs().begin(),
                request.held_packs().end());
  }
  int64_t bytes_left = held.size() <= break_off_after.size()
                           ? break_off_after[held.size() - 1]
                           : std::numeric_limits<int64_t>::max();

  v1::BackUpStoreResponse summary;
  summary.mutable_summary()->mutable_snapshot_time()->set_seconds(1704067200);
  summary.mutable_summary()->set_pack_count(packs.size());
  summary.mutable_summary()->set_catalog_bytes(catalog.size());
  v1::BackUpStoreResponse kept;
  std::map<std::string, int64_t> missing;  // and where to go on with it
  int64_t bytes_to_send = catalog.size();
  int64_t pack_bytes = 0;
  for (const auto& [name, bytes] : packs) {
    const auto size = static_cast<int64_t>(bytes.size());
    pack_bytes += size;
    missing[name] = 0;
    for (const v1::HeldPack& pack : told) {
      if (pack.name() != name) continue;
      if (pack.partial()) missing[name] = pack.size_bytes();
      if (!pack.partial() && pack.size_bytes() == size) missing.erase(name);
    }
    if (missing.count(name) == 0) {
      kept.mutable_kept()->add_names(name);
    } else {
      bytes_to_send += size - missing[name];
    }
  }
  summary.mutable_summary()->set_pack_bytes(pack_bytes);
  summary.mutable_summary()->set_bytes_to_send(bytes_to_send);
  stream.Write(summary);
  if (kept.kept().names_size() > 0) stream.Write(kept);

  bool sent = true;
  for (const auto& [name, offset] : missing) {
    sent = sent && Send(stream, name, packs.at(name), offset, bytes_left);
  }
  sent = sent && Send(stream, "", catalog, 0, bytes_left);
  return sent ? grpc::Status::OK
              : grpc::Status(grpc::StatusCode::UNAVAILABLE, "going down");
}

bool FakeBackup::Send(Stream& stream, const std::string& pack,
                      const std::string& bytes, int64_t offset,
                      int64_t& bytes_left) const {
  v1::BackUpStoreResponse message;
  message.mutable_file()->set_pack(pack);
  message.mutable_file()->set_size_bytes(bytes.size());
  message.mutable_file()->set_offset(offset);
  stream.Write(message);
  const auto size = static_cast<int64_t>(bytes.size());
  while (offset < size) {
    const int64_t chunk = std::min({kChunkBytes, size - offset, bytes_left});
    if (chunk == 0) return false;
    message.set_chunk(bytes.substr(offset, chunk));
    stream.Write(message);
    offset += chunk;
    bytes_left -= chunk;
  }
  message.set_sha256(DigestOf(pack == wrong_digest_of ? bytes + "x" : bytes));
  stream.Write(message);
  return true;
}

}  // namespace warmstart::client
