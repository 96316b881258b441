#include <algorithm>
#include <array>
#include <vector>

#include "files/field_error.h"
#include "files/gguf_split.h"
#include "files/shard_index.h"
#include "files/single_file.h"
#include "files/tensor_file.h"

namespace assay::files {

namespace {

namespace fs = std::filesystem;

/// Weights of a Hugging Face folder, the preferred first.
constexpr std::array<std::string_view, 4> kWeightNames = {
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
    "pytorch_model.bin.index.json"};

fs::path if_there(const fs::path& file) {
  std::error_code ignored;
  return fs::is_regular_file(file, ignored) ? file : fs::path();
}

void find_companions(ModelFiles& files) {
  files.config = if_there(files.root / "config.json");
  files.tokenizer = if_there(files.root / "tokenizer.json");
  files.vocab = if_there(files.root / "vocab.txt");
  files.tokenizer_config = if_there(files.root / "tokenizer_config.json");
}

bool is_gguf(const fs::path& file) {
  return starts_with(map_file(file), "GGUF") || file.extension() == ".gguf";
}

std::vector<fs::path> gguf_files(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator i(folder, error), end; !error && i != end; i.increment(error)) {
    if (i->path().extension() == ".gguf") found.push_back(i->path());
  }
  if (error) fail(ErrorCode::io, "{}: cannot be listed: {}", shown(folder), error.message());
  std::sort(found.begin(), found.end());
  return found;
}

[[noreturn]] void fail_no_weights(const fs::path& folder) {
  fail(ErrorCode::bad_data,
       "{}: no model.safetensors, no pytorch_model.bin and no .gguf file in this folder; give a "
       ".gguf file, or a folder with config.json and model.safetensors",
       shown(folder));
}

/// With companions and, behind an index, the files that it names.
ModelFiles hugging_face_files(const fs::path& root, const fs::path& weights) {
  ModelFiles files;
  files.root = root;
  files.weights = weights;
  if (is_shard_index(weights)) files.shards = shard_paths(weights);
  find_companions(files);
  return files;
}

/// One file, or all parts of which it is one.
ModelFiles gguf_model(const fs::path& root, const fs::path& weights) {
  ModelFiles files;
  files.root = root;
  files.weights = weights;
  const auto name = split_name(weights);
  if (!name || name->count == 1) return files;
  files.shards = split_parts(weights, *name);
  files.weights = files.shards.front();
  files.shards.erase(files.shards.begin());
  return files;
}

/// Leaves of split files only the first parts.
void drop_later_parts(std::vector<fs::path>& files) {
  std::erase_if(files, [](const fs::path& file) {
    const auto name = split_name(file);
    return name && name->number > 1;
  });
}

ModelFiles locate_in_folder(const fs::path& folder) {
  for (const std::string_view name : kWeightNames) {
    const fs::path weights = if_there(folder / name);
    if (weights.empty()) continue;
    ModelFiles files = hugging_face_files(folder, weights);
    if (files.config.empty()) {
      fail(ErrorCode::bad_data, "{}: config.json is missing beside {}", shown(folder), name);
    }
    return files;
  }
  std::vector<fs::path> gguf = gguf_files(folder);
  if (gguf.empty()) fail_no_weights(folder);
  drop_later_parts(gguf);
  if (gguf.empty()) {
    fail(ErrorCode::bad_data, "{}: the first part (...-00001-of-...) of the split .gguf is missing",
         shown(folder));
  }
  if (gguf.size() > 1) {
    fail(ErrorCode::bad_data,
         "{}: holds {} models in .gguf files; name one of them, for example {}", shown(folder),
         gguf.size(), shown(gguf.front().filename()));
  }
  return gguf_model(folder, gguf.front());
}

}  // namespace

ModelFiles locate_model(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    fail(ErrorCode::io, "{}: there is no such file or folder", shown(path));
  }
  if (error) fail(ErrorCode::io, "{}: cannot be looked at: {}", shown(path), error.message());
  if (fs::is_directory(status)) return locate_in_folder(path);

  const fs::path root = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!is_gguf(path)) return hugging_face_files(root, path);
  return gguf_model(root, path);
}

}  // namespace assay::files
