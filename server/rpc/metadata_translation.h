// From the metadata of a checkpoint, which is JSON, to google.protobuf.Struct.

#ifndef WARMSTART_SERVER_RPC_METADATA_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_METADATA_TRANSLATION_H_

#include <google/protobuf/struct.pb.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace warmstart::rpc {

// Parsers of protobuf give up on messages that are nested 100 deep, and an
// object takes three levels. What lies deeper than this many objects and lists
// is JSON text.
inline constexpr int kMaxMetadataDepth = 30;

// DATA_LOSS for what is no JSON object. protobuf's own JsonStringToMessage is
// not used: it refuses nesting that files may have, and so would hide the
// checkpoint.
absl::Status MetadataToProto(absl::string_view json,
                             google::protobuf::Struct* proto);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_METADATA_TRANSLATION_H_
