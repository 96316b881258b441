#include "files/single_file.h"

#include "files/gguf.h"
#include "files/mapped_file.h"
#include "files/npy.h"
#include "files/safetensors.h"
#include "files/torch_zip.h"

namespace assay::files {

namespace {

constexpr std::string_view kLfsPointer = "version https://git-lfs";
constexpr std::string_view kZip = "PK\x03\x04";
constexpr std::string_view kNpy = "\x93NUMPY";

[[noreturn]] void fail_unknown(const RawFile& file) {
  std::string_view what = "is neither GGUF nor safetensors, torch.save or .npy";
  if (file.bytes.empty()) what = "is an empty file";
  if (starts_with(file, kLfsPointer))
    what = "is only a git-lfs pointer; run `git lfs pull` for the model";
  if (is_legacy_torch(file)) {
    what =
        "was written by torch.save before version 1.6; load it with torch and save it again, or "
        "convert it to safetensors";
  }
  fail_field(file.path, "magic", 0, "the file {}", what);
}

}  // namespace

RawFile map_file(const std::filesystem::path& path) {
  const auto mapped = MappedFile::open(path);
  return {path, mapped->bytes(), mapped};
}

bool starts_with(const RawFile& file, std::string_view text, std::size_t at) {
  const std::string_view content(reinterpret_cast<const char*>(file.bytes.data()),
                                 file.bytes.size());
  return content.size() > at && content.substr(at).starts_with(text);
}

TensorFile read_single_file(const RawFile& file) {
  if (starts_with(file, "GGUF")) return read_gguf(file);
  if (starts_with(file, kZip)) return read_torch(file);
  if (starts_with(file, kNpy)) return read_npy(file);
  if (starts_with(file, "{", 8)) return read_safetensors(file);
  const bool known = starts_with(file, kLfsPointer) || is_legacy_torch(file);
  // A damaged file gets the message of the format that its name promises.
  if (!known && file.path.extension() == ".gguf") return read_gguf(file);
  if (!known && file.path.extension() == ".safetensors") return read_safetensors(file);
  fail_unknown(file);
}

}  // namespace assay::files
