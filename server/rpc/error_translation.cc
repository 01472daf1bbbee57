#include "server/rpc/error_translation.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/error_info.h"

namespace warmstart::rpc {
namespace {

constexpr char kDomain[] = "warmstart";
// What a client may ask for at most.
constexpr size_t kMostErrorBytes = 64 * 1024 * 1024;
constexpr char kCut[] =
    " ... (cut; with validate_only nothing is, see `report`)";
constexpr char kReportCut[] =
    "this report was cut to fit an error of the size that the client takes "
    "(see warmstart-max-error-bytes); the same request with validate_only and "
    "without strict, coverage and error policies returns all of it";
// The longest message that leaves room for details in a small error.
constexpr size_t kShortMessage = 2 * 1024;
constexpr int kShortList = 20;

// Cuts at most to `size` bytes, and not inside a UTF-8 sequence.
std::string Shorten(const std::string& text, size_t size) {
  while (size > 0 && (text[size] & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

// The parts of a report that tell why a policy was not met, shortened.
v1::MatchReport Digested(const v1::MatchReport& report) {
  v1::MatchReport brief;
  brief.set_architecture(report.architecture());
  *brief.mutable_coverage() = report.coverage();
  const auto copy = [](const auto& from, auto* to) {
    for (int i = 0; i < std::min(from.size(), kShortList); ++i) {
      *to->Add() = from[i];
    }
  };
  copy(report.missing_keys(), brief.mutable_missing_keys());
  copy(report.unexpected_keys(), brief.mutable_unexpected_keys());
  copy(report.mismatched_keys(), brief.mutable_mismatched_keys());
  brief.add_notes(kReportCut);
  return brief;
}

std::string DetailsBytes(const absl::Status& status, const std::string& message,
                         const v1::MatchReport* report) {
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  if (const std::optional<ErrorInfo> info = GetErrorInfo(status)) {
    google::rpc::ErrorInfo proto;
    proto.set_reason(info->reason);
    proto.set_domain(kDomain);
    for (const auto& [key, value] : info->metadata) {
      (*proto.mutable_metadata())[key] = value;
    }
    details.add_details()->PackFrom(proto);
  }
  if (report != nullptr) details.add_details()->PackFrom(*report);
  return details.SerializeAsString();
}

grpc::Status Assemble(const absl::Status& status, const std::string& message,
                      std::string details) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message,
                      std::move(details));
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
  std::string message(status.message());
  const auto fits = [&](const std::string& details) {
    // The message travels twice, here and in the details.
    return message.size() + details.size() <= max_bytes;
  };
  std::string details = DetailsBytes(status, message, report);
  if (fits(details)) return Assemble(status, message, std::move(details));

  if (message.size() > kShortMessage) {
    message = absl::StrCat(Shorten(message, kShortMessage), kCut);
  }
  if (report != nullptr) {
    const v1::MatchReport brief = Digested(*report);
    details = DetailsBytes(status, message, &brief);
    if (fits(details)) return Assemble(status, message, std::move(details));
  }
  details = DetailsBytes(status, message, nullptr);
  if (fits(details)) return Assemble(status, message, std::move(details));
  return Assemble(status, message, "");
}

}  // namespace warmstart::rpc
