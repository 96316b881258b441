#include "engine/synthetic.h"

#include <sys/statvfs.h>

#include "base/io.h"
#include "engine/new_folder.h"
#include "files/safetensors_writer.h"
#include "models/synthetic.h"

namespace assay::engine {
namespace {

namespace fs = std::filesystem;
using files::StoredTensor;
using precision::Encoding;
using precision::SyntheticTensor;

/// In config.json.
constexpr const char* kConfigKey = "assay_synthetic";

std::int64_t bytes_of(const SyntheticTensor& tensor) {
  return precision::info(Encoding::bf16).code_bytes(tensor.rows, tensor.cols);
}

std::vector<std::int64_t> shape_of(const SyntheticTensor& tensor) {
  if (tensor.vector) return {tensor.cols};
  return {tensor.rows, tensor.cols};
}

/// Tensors in order, cut into files of at most `limit` bytes (or one tensor).
std::vector<std::vector<const SyntheticTensor*>> shards_of(
    const std::vector<SyntheticTensor>& tensors, std::int64_t limit) {
  std::vector<std::vector<const SyntheticTensor*>> shards;
  std::int64_t held = limit;
  for (const SyntheticTensor& tensor : tensors) {
    const std::int64_t bytes = bytes_of(tensor);
    if (shards.empty() || held + bytes > limit) {
      shards.emplace_back();
      held = 0;
    }
    shards.back().push_back(&tensor);
    held += bytes;
  }
  return shards;
}

void require_room(const fs::path& folder, std::int64_t bytes) {
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return;
  const double room = double(disk.f_bavail) * double(disk.f_frsize);
  if (room >= double(bytes)) return;
  fail(ErrorCode::io, "{}: {:.1f} GB are free on its disk, the model takes {:.1f} GB",
       base::printable(folder.string()), room / 1e9, double(bytes) / 1e9);
}

class Writer {
 public:
  Writer(const fs::path& folder, const base::ProgressSink& progress, std::int64_t total)
      : folder_(folder), progress_(progress), total_(total) {}

  void write(const std::string& name, const std::vector<const SyntheticTensor*>& tensors) {
    std::vector<files::TensorHeader> headers;
    headers.reserve(tensors.size());
    for (const SyntheticTensor* tensor : tensors) {
      headers.push_back({tensor->name, "BF16", shape_of(*tensor)});
    }
    files::SafetensorsWriter writer(folder_ / name, std::move(headers), {{"format", "pt"}});
    for (const SyntheticTensor* tensor : tensors) {
      base::check_interrupted();
      if (progress_)
        progress_("write " + name, double(done_) / double(std::max(total_, done_ + 1)));
      const auto bytes = static_cast<std::size_t>(bytes_of(*tensor));
      writer.write(tensor->name, precision::generate(*tensor).codes.bytes.first(bytes));
      done_ += bytes_of(*tensor);
      places_[tensor->name] = name;
    }
    writer.commit();
  }

  void write_index() const {
    const Json index = {{"metadata", {{"total_size", total_}}}, {"weight_map", places_}};
    base::write_atomically(folder_ / "model.safetensors.index.json", index.dump(2) + "\n");
  }

 private:
  const fs::path& folder_;
  const base::ProgressSink& progress_;
  std::int64_t total_;
  std::int64_t done_ = 0;
  Json places_ = Json::object();
};

}  // namespace

std::optional<SyntheticModel> synthetic_of(const Json& config, const std::string& source) {
  const auto found = config.find(kConfigKey);
  if (found == config.end()) return std::nullopt;
  if (found->is_string()) {
    if (auto model = parse_synthetic(found->get<std::string>())) return model;
  }
  fail(ErrorCode::bad_data, "{}: '{}' is not the name of a synthetic model", source, kConfigKey);
}

Json config_of(const SyntheticModel& model) {
  Json config = models::synthetic_config(model.like);
  config[kConfigKey] = to_string(model);
  return config;
}

SyntheticTensors tensors_of(const SyntheticModel& model, const models::ModelConfig& config) {
  SyntheticTensors tensors;
  for (SyntheticTensor& tensor : models::synthetic_tensors(config, model.seed, model.outliers)) {
    tensors.push_back(std::make_shared<const SyntheticTensor>(std::move(tensor)));
  }
  return tensors;
}

files::TensorFile open_synthetic(const SyntheticModel& model, const SyntheticTensors& tensors) {
  std::vector<StoredTensor> stored;
  for (const auto& tensor : tensors) {
    StoredTensor entry;
    entry.name = tensor->name;
    entry.type = "BF16";
    entry.encoding = Encoding::bf16;
    entry.shape = shape_of(*tensor);
    entry.extra_bytes = static_cast<std::uint64_t>(bytes_of(*tensor));
    entry.assemble = [tensor] { return precision::generate(*tensor); };
    stored.push_back(std::move(entry));
  }
  return files::TensorFile::synthetic(to_string(model), std::move(stored));
}

WrittenModel write_synthetic(const SyntheticModel& model, const fs::path& folder,
                             const base::ProgressSink& progress, std::int64_t shard_bytes) {
  const Json json = config_of(model);
  const auto tensors = models::synthetic_tensors(models::config_from_json(json, to_string(model)),
                                                 model.seed, model.outliers);
  std::int64_t total = 0;
  for (const SyntheticTensor& tensor : tensors) total += bytes_of(tensor);
  prepare_new_folder(folder);
  require_room(folder, total);
  const auto shards = shards_of(tensors, shard_bytes);
  Writer writer(folder, progress, total);
  if (shards.size() == 1) {
    writer.write("model.safetensors", shards.front());
  } else {
    for (std::size_t i = 0; i < shards.size(); ++i) {
      writer.write(fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size()),
                   shards[i]);
    }
    writer.write_index();
  }
  base::write_atomically(folder / "config.json", json.dump(2) + "\n");
  return {.bytes = total, .files = static_cast<int>(shards.size())};
}

}  // namespace assay::engine
