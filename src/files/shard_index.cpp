#include "files/shard_index.h"

#include <algorithm>
#include <map>

#include "base/io.h"
#include "base/json_events.h"
#include "files/parts_merger.h"
#include "files/single_file.h"

namespace assay::files {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxBytes = std::size_t{64} << 20;  // the largest known has 15 MB
constexpr std::string_view kSuffix = ".index.json";
constexpr std::string_view kMap = "weight_map";

/// Takes weight_map out of the document and passes over the rest ("metadata").
class IndexReader : public base::JsonEvents {
 public:
  explicit IndexReader(const fs::path& path) : path_(path) {}

  void begin_object() override {
    ++depth_;
    if (depth_ == 2 && in_map_) map_seen_ = true;
    if (depth_ > 2 && in_map_) fail_here("must be the name of a file");
  }
  void begin_array() override {
    if (depth_ == 0) fail_here("must be a JSON object");
    if (in_map_ && depth_ == 1) fail_here("must be an object");
    if (in_map_) fail_here("must be the name of a file");
    ++depth_;
  }
  void end_object() override { --depth_; }
  void end_array() override { --depth_; }

  void key(std::string&& name, std::size_t position) override {
    if (depth_ > 1 && !in_map_) return;
    name_ = std::move(name);
    position_ = position;
    if (depth_ == 1) {
      in_map_ = name_ == kMap;
      if (in_map_ && map_seen_) fail_here("the key is there twice");
    }
  }

  void scalar(Json&& value) override {
    if (depth_ == 0) fail_here("must be a JSON object");
    if (!in_map_) return;
    if (depth_ == 1) fail_here("must be an object");
    if (!value.is_string()) fail_here("must be the name of a file");
    add(value.get_ref<const std::string&>());
  }

  [[nodiscard]] ShardIndex finish() {
    if (!map_seen_) fail_field(path_, kMap, 0, "is missing");
    if (names_.empty()) fail_field(path_, kMap, 0, "names no tensor");
    check_names();
    ShardIndex index;
    std::vector<std::size_t> order(files_.size());
    for (const auto& [file, number] : files_) {  // sorted by name
      order[number] = index.files.size();
      index.files.push_back(file);
    }
    for (ShardedName& name : names_) name.file = order[name.file];
    index.names = std::move(names_);
    return index;
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    fail_field(path_, name_, position_, format, std::forward<Args>(args)...);
  }

  void charge(std::uint64_t bytes) {
    spent_ += bytes;
    if (spent_ > kHeaderBudget / 2) {
      fail_here("the names take more than the {} MiB they may", kHeaderBudget >> 21);
    }
  }

  void add(const std::string& file) {
    check_file(file);
    charge(sizeof(ShardedName) + 32 + name_.size());
    const auto [at, inserted] = files_.try_emplace(file, files_.size());
    if (inserted) charge(128 + file.size());
    names_.push_back({std::move(name_), at->second, position_});
  }

  /// Strangers write indices: what they name must lie beside them.
  void check_file(const std::string& file) const {
    const bool plain = file.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    if (file.empty() || file == "." || file == ".." || !plain) {
      fail_here("'{}' is no plain name of a file beside the index", base::printable(file));
    }
    if (is_shard_index(file)) {
      fail_here("'{}' is an index, not a file with tensors", base::printable(file));
    }
  }

  void check_names() const {
    std::vector<const ShardedName*> order;
    for (const ShardedName& name : names_) order.push_back(&name);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
      const int compared = a->tensor.compare(b->tensor);
      return compared != 0 ? compared < 0 : a->position < b->position;
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (order[i]->tensor != order[i - 1]->tensor) continue;
      fail_field(path_, order[i]->tensor, order[i]->position,
                 "the tensor is named twice; the first time at byte {}", order[i - 1]->position);
    }
  }

  const fs::path& path_;
  int depth_ = 0;
  bool in_map_ = false;
  bool map_seen_ = false;
  std::string name_ = "header";
  std::uint64_t position_ = 0;
  std::map<std::string, std::size_t> files_;
  std::vector<ShardedName> names_;
  std::uint64_t spent_ = 0;
};

fs::path beside(const fs::path& index, const std::string& file) {
  return index.parent_path() / file;
}

void check_present(const fs::path& path, const ShardIndex& index, const TensorFile& merged) {
  for (const ShardedName& name : index.names) {
    const StoredTensor* tensor = merged.find(name.tensor);
    if (tensor != nullptr && tensor->part == name.file) continue;
    fail_field(path, name.tensor, name.position, "{} holds no such tensor{}",
               shown(index.files[name.file]),
               tensor == nullptr
                   ? ""
                   : fmt::format("; it is in {}", shown(merged.parts()[tensor->part].filename())));
  }
}

}  // namespace

bool is_shard_index(const fs::path& path) { return path.filename().native().ends_with(kSuffix); }

ShardIndex read_shard_index(const fs::path& path) {
  IndexReader reader(path);
  base::read_json_events(base::read_text(path, kMaxBytes), shown(path) + ": field 'header'",
                         reader);
  return reader.finish();
}

std::vector<fs::path> shard_paths(const fs::path& index) {
  std::vector<fs::path> paths;
  for (const std::string& file : read_shard_index(index).files)
    paths.push_back(beside(index, file));
  return paths;
}

TensorFile open_sharded(const fs::path& path) {
  const ShardIndex index = read_shard_index(path);
  PartsMerger merger(path);
  for (const std::string& file : index.files) {
    TensorFile part = read_single_file(map_file(beside(path, file)));
    if (part.format() == "gguf") {
      fail_field(path, kMap, 0, "{} is a GGUF file, which no index can name", shown(file));
    }
    merger.add(std::move(part));
  }
  TensorFile merged = merger.finish();
  check_present(path, index, merged);
  return merged;
}

}  // namespace assay::files
