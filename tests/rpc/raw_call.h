// RawCall: streams of services whose generated code Debian's gRPC does not ship
// (health, reflection). Messages are bytes.

#ifndef WARMSTART_TESTS_RPC_RAW_CALL_H_
#define WARMSTART_TESTS_RPC_RAW_CALL_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace warmstart::rpc {

// Any method can be called as a stream of both sides. Not thread-safe.
class RawCall {
 public:
  RawCall(std::shared_ptr<grpc::Channel> channel, const char* method)
      : channel_(std::move(channel)),
        stream_(
            grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer,
                                                      grpc::ByteBuffer>::
                Create(channel_.get(),
                       grpc::internal::RpcMethod(
                           method, /*suffix_for_stats=*/nullptr,
                           grpc::internal::RpcMethod::BIDI_STREAMING, channel_),
                       &context_)) {}

  void Send(const std::string& message) {
    const grpc::Slice slice(message);
    stream_->Write(grpc::ByteBuffer(&slice, 1));
  }

  // nullopt when the stream has ended.
  std::optional<std::string> Receive() {
    grpc::ByteBuffer buffer;
    std::vector<grpc::Slice> slices;
    if (!stream_->Read(&buffer) || !buffer.Dump(&slices).ok()) {
      return std::nullopt;
    }
    std::string message;
    for (const grpc::Slice& slice : slices) {
      message.append(reinterpret_cast<const char*>(slice.begin()),
                     slice.size());
    }
    return message;
  }

  grpc::Status Finish() {
    stream_->WritesDone();
    return stream_->Finish();
  }

  void Cancel() { context_.TryCancel(); }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;
  const std::unique_ptr<
      grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>>
      stream_;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_TESTS_RPC_RAW_CALL_H_
