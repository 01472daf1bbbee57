#include "server/format/read_one.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/format/key_check.h"
#include "server/format/safetensors/safetensors_reader.h"
#include "server/format/torch/torch_legacy_reader.h"
#include "server/format/torch/torch_tar_reader.h"
#include "server/format/torch/torch_zip_reader.h"

namespace warmstart::format {
namespace {

// Files that people upload by mistake, and what to do about it.
struct Mistake {
  absl::string_view start;
  absl::string_view advice;
};

constexpr Mistake kMistakes[] = {
    {"version https://git-lfs.github.com/spec/",
     "a git-lfs pointer and not the file itself; fetch it with git lfs pull"},
    {"<!DOCTYPE", "a web page and not a checkpoint; the download went wrong"},
    {"<!doctype", "a web page and not a checkpoint; the download went wrong"},
    {"<html", "a web page and not a checkpoint; the download went wrong"},
    {"{", "JSON; if it is the index of a sharded set, its shards belong to it"},
    {"\x1f\x8b", "a gzip file; unpack it first"},
    {"\x89HDF", "an HDF5 file, which PyTorch does not read"},
    {"GGUF", "a GGUF file, which PyTorch does not read"},
    {"\x80", "a pickle that torch.save did not write"},
};

absl::Status UnknownFormat(absl::string_view bytes) {
  if (bytes.empty()) return absl::InvalidArgumentError("the file is empty");
  for (const Mistake& mistake : kMistakes) {
    if (absl::StartsWith(bytes, mistake.start)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the file is ", mistake.advice));
    }
  }
  return absl::InvalidArgumentError(
      "the file is no checkpoint: it starts like nothing that torch.save or "
      "safetensors writes");
}

// 8 bytes with the length of the header, which is a JSON object.
bool LooksLikeSafetensors(absl::string_view bytes) {
  return bytes.size() > 8 && bytes[8] == '{';
}

absl::StatusOr<FileContents> ReadByContent(const FileView& file) {
  if (LooksLikeTorchZip(file.bytes)) return ReadTorchZip(file);
  if (LooksLikeTorchLegacy(file.bytes)) return ReadTorchLegacy(file);
  if (LooksLikeTorchTar(file.bytes)) return ReadTorchTar(file);
  if (LooksLikeSafetensors(file.bytes)) return ReadSafetensors(file);
  return UnknownFormat(file.bytes);
}

}  // namespace

absl::StatusOr<FileContents> ReadOne(const FileView& file) {
  absl::StatusOr<FileContents> contents = ReadByContent(file);
  if (contents.ok()) return contents;
  return absl::Status(contents.status().code(),
                      absl::StrCat(QuoteForMessage(file.name), ": ",
                                   contents.status().message()));
}

}  // namespace warmstart::format
