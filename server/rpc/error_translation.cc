#include "server/rpc/error_translation.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/error_info.h"
#include "server/model/utf8.h"

namespace warmstart::rpc {
namespace {

constexpr char kDomain[] = "warmstart";
// What a client may ask for at most.
constexpr size_t kMostErrorBytes = 64 * 1024 * 1024;
constexpr char kCut[] = " ... (cut)";
constexpr char kReportCut[] =
    "this report was cut to fit into an error (see warmstart-max-error-bytes); "
    "the same request with validate_only, and without strict, min_coverage and "
    "ERROR policies, returns all of it";

// What is left of each part where not everything fits, as it travels. Together
// less than kDefaultMaxErrorBytes: the message comes twice.
constexpr size_t kShortMessage = 1536;
constexpr size_t kShortValue = 256;
constexpr int kShortList = 20;

bool IsPlain(char c) { return c >= 0x20 && c <= 0x7E && c != '%'; }

// gRPC percent-encodes messages.
size_t MessageBytes(absl::string_view message) {
  size_t bytes = 0;
  for (char c : message) bytes += IsPlain(c) ? 1 : 3;
  return bytes;
}

size_t Base64Bytes(size_t bytes) { return (bytes + 2) / 3 * 4; }

size_t WireBytes(absl::string_view message, const std::string& details) {
  return MessageBytes(message) + Base64Bytes(details.size());
}

// Protos carry UTF-8 alone, and clients fail to parse anything else.
std::string Utf8(absl::string_view text) {
  return IsUtf8(text) ? std::string(text) : absl::CHexEscape(text);
}

// Cut to what takes at most `max_bytes` as a message, and not inside a UTF-8
// sequence.
std::string Shorten(absl::string_view text, size_t max_bytes) {
  if (MessageBytes(text) <= max_bytes) return std::string(text);
  size_t end = 0;
  for (size_t bytes = 0; end < text.size(); ++end) {
    bytes += IsPlain(text[end]) ? 1 : 3;
    if (bytes > max_bytes) break;
  }
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
  return absl::StrCat(text.substr(0, end), kCut);
}

// The parts of a report that tell why a policy was not met.
v1::MatchReport Shorten(const v1::MatchReport& report, int max_keys) {
  v1::MatchReport brief;
  brief.set_architecture(report.architecture());
  *brief.mutable_coverage() = report.coverage();
  const auto copy = [max_keys](const auto& from, auto* to) {
    for (int i = 0; i < std::min(from.size(), max_keys); ++i) {
      *to->Add() = from[i];
    }
  };
  copy(report.missing_keys(), brief.mutable_missing_keys());
  copy(report.unexpected_keys(), brief.mutable_unexpected_keys());
  copy(report.mismatched_keys(), brief.mutable_mismatched_keys());
  brief.add_notes(kReportCut);
  return brief;
}

google::rpc::ErrorInfo ToProto(const ErrorInfo& info) {
  google::rpc::ErrorInfo proto;
  proto.set_reason(info.reason);
  proto.set_domain(kDomain);
  for (const auto& [key, value] : info.metadata) {
    (*proto.mutable_metadata())[Utf8(key)] = Utf8(value);
  }
  return proto;
}

void Shorten(google::rpc::ErrorInfo& info) {
  for (auto& [key, value] : *info.mutable_metadata()) {
    value = Shorten(value, kShortValue);
  }
}

std::string DetailsOf(const absl::Status& status, const std::string& message,
                      const std::optional<google::rpc::ErrorInfo>& info,
                      const v1::MatchReport* report) {
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  if (info.has_value()) details.add_details()->PackFrom(*info);
  if (report != nullptr) details.add_details()->PackFrom(*report);
  return details.SerializeAsString();
}

grpc::Status Assemble(const absl::Status& status, const std::string& message,
                      const std::string& details) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message,
                      details);
}

}  // namespace

size_t MaxErrorBytes(const grpc::ServerContext& context) {
  const auto found = context.client_metadata().find(kMaxErrorBytesKey);
  uint64_t bytes = 0;
  if (found == context.client_metadata().end() ||
      !absl::SimpleAtoi(
          absl::string_view(found->second.data(), found->second.size()),
          &bytes)) {
    return kDefaultMaxErrorBytes;
  }
  return std::clamp<uint64_t>(bytes, kDefaultMaxErrorBytes, kMostErrorBytes);
}

grpc::Status ToGrpcStatus(const absl::Status& status,
                          const v1::MatchReport* report, size_t max_bytes) {
  if (status.ok()) return grpc::Status::OK;
  std::string message = Utf8(status.message());
  std::optional<google::rpc::ErrorInfo> info;
  if (const std::optional<ErrorInfo> found = GetErrorInfo(status)) {
    info = ToProto(*found);
  }
  std::string details = DetailsOf(status, message, info, report);
  if (WireBytes(message, details) <= max_bytes) {
    return Assemble(status, message, details);
  }

  message = Shorten(message, kShortMessage);
  if (info.has_value()) Shorten(*info);
  for (const int max_keys : {kShortList, 0}) {
    if (report == nullptr) break;
    const v1::MatchReport brief = Shorten(*report, max_keys);
    details = DetailsOf(status, message, info, &brief);
    if (WireBytes(message, details) <= max_bytes) {
      return Assemble(status, message, details);
    }
  }
  return Assemble(status, message, DetailsOf(status, message, info, nullptr));
}

}  // namespace warmstart::rpc
