#include "server/service/file_format.h"

#include "server/base/error_info.h"

namespace warmstart::service {
namespace {

// `Contents` is one manifest, or the parts of a file of several.
template <typename Contents>
absl::StatusOr<format::FileLayout> Layout(const Contents& contents,
                                          FileFormat format,
                                          format::Crc32Of crc32_of) {
  if (format == FileFormat::kTorch) {
    return format::LayoutTorchFile(contents, crc32_of);
  }
  absl::StatusOr<format::FileLayout> layout =
      format::LayoutSafetensorsFile(contents);
  if (layout.ok()) return layout;
  return WithErrorInfo(layout.status(), reason::kFormatLacksDtype);
}

}  // namespace

absl::StatusOr<format::FileLayout> LayoutFile(const Manifest& manifest,
                                              FileFormat format,
                                              format::Crc32Of crc32_of) {
  return Layout(manifest, format, crc32_of);
}

absl::StatusOr<format::FileLayout> LayoutFile(
    absl::Span<const format::FilePart> parts, FileFormat format,
    format::Crc32Of crc32_of) {
  return Layout(parts, format, crc32_of);
}

}  // namespace warmstart::service
