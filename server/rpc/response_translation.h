// From what the service answers to the messages of responses.

#ifndef WARMSTART_SERVER_RPC_RESPONSE_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_RESPONSE_TRANSLATION_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/model/architecture.h"
#include "server/model/manifest.h"
#include "server/model/manifest_diff.h"
#include "server/model/report.h"
#include "server/service/origin.h"
#include "server/store/store.h"
#include "server/store/uploads/upload.h"
#include "warmstart/v1/architectures.pb.h"
#include "warmstart/v1/checkpoints.pb.h"
#include "warmstart/v1/report.pb.h"
#include "warmstart/v1/uploads.pb.h"

namespace warmstart::rpc {

void ToProto(absl::Time time, google::protobuf::Timestamp* proto);

// "architectures/{name}", where the name may have a version; "" for "".
std::string ArchitectureResource(const std::string& name);

void ToProto(const Shape& shape,
             google::protobuf::RepeatedField<int64_t>* proto);
v1::TargetOutcome ToProto(TargetOutcome outcome);
void ToProto(const service::Origin& origin, v1::Origin* proto);

// DATA_LOSS when what the catalog keeps of a checkpoint cannot be read. The
// report and metadata are left out: that is the BASIC view.
absl::Status ToProto(const store::Checkpoint& checkpoint,
                     v1::Checkpoint* proto);
// Adds what the FULL view has more.
absl::Status AddFullView(const store::Checkpoint& checkpoint,
                         const Manifest& manifest, v1::Checkpoint* proto);

void ToProto(const MatchReport& report, v1::MatchReport* proto);
void ToProto(const ManifestDiff& diff, v1::DiffCheckpointsResponse* proto);
void ToProto(const store::Alias& alias, v1::Alias* proto);
void ToProto(const store::Upload& upload, v1::Upload* proto);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_RESPONSE_TRANSLATION_H_
