// FakeBackup: what a server's BackUpStore does, of packs and a catalog that a
// test makes up.

#ifndef WARMSTART_TESTS_CLIENT_TESTING_FAKE_BACKUP_H_
#define WARMSTART_TESTS_CLIENT_TESTING_FAKE_BACKUP_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "warmstart/v1/admin.grpc.pb.h"

namespace warmstart::client {

// A name as packs have it, of one letter from a to f.
std::string PackName(char letter);

struct FakeBackup {
  using Stream =
      grpc::ServerReaderWriter<v1::BackUpStoreResponse, v1::BackUpStoreRequest>;

  std::map<std::string, std::string> packs;
  std::string catalog;

  // The i-th call breaks off, as a lost connection does, once it has sent so
  // many bytes; those after the last send all.
  std::vector<int64_t> break_off_after;
  // Of this pack, or the catalog (""), another digest is sent.
  std::string wrong_digest_of = "none";

  // What each call was told.
  std::vector<std::vector<v1::HeldPack>> held;

  grpc::Status Answer(Stream& stream);

 private:
  // Whether the file was sent as a whole.
  bool Send(Stream& stream, const std::string& pack, const std::string& bytes,
            int64_t offset, int64_t& bytes_left) const;
};

}  // namespace warmstart::client

#endif  // WARMSTART_TESTS_CLIENT_TESTING_FAKE_BACKUP_H_
