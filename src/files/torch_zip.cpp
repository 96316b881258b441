#include "files/torch_zip.h"

#include "base/io.h"
#include "files/npy.h"
#include "files/pickle_reader.h"
#include "files/single_file.h"
#include "files/torch_tensor.h"
#include "files/zip_directory.h"

namespace assay::files {

namespace {

constexpr std::string_view kPickle = "data.pkl";
constexpr std::uint64_t kLongestPickle = std::uint64_t{64} << 20;
constexpr std::size_t kLongestKey = 512;
constexpr std::size_t kLongestStorageKey = 64;
constexpr int kMaxDepth = 16;
/// A value may be reached by many paths; this bounds the paths.
constexpr std::uint64_t kMaxVisits = std::uint64_t{1} << 18;

/// A tensor whose elements must be brought into order.
struct Scattered {
  std::size_t index = 0;  ///< in the TensorFile
  StridedTensor tensor;
  std::uint64_t storage_begin = 0;
  std::uint64_t storage_bytes = 0;
};

/// Walks from the pickle's root to all tensors and hands them to the builder.
class Collector {
 public:
  Collector(const RawFile& file, const ZipDirectory& directory, std::string folder,
            const PickleReader& pickle, TensorFileBuilder& builder)
      : file_(file),
        directory_(directory),
        folder_(std::move(folder)),
        pickle_(pickle),
        builder_(builder) {}

  void visit(PickleId id, const std::string& name, int depth) {
    const PickleValue& value = pickle_.at(id);
    if (depth > kMaxDepth) fail_at(name, value, "nested deeper than {}", kMaxDepth);
    if (++visits_ > kMaxVisits) fail_at(name, value, "more than {} values", kMaxVisits);
    switch (value.kind) {
      case PickleValue::Kind::dict:
        return visit_dict(value, name, depth);
      case PickleValue::Kind::list:
      case PickleValue::Kind::tuple:
        for (std::size_t i = 0; i < value.items.size(); ++i) {
          visit(value.items[i], joined(name, std::to_string(i)), depth + 1);
        }
        return;
      case PickleValue::Kind::tensor:
        return add_tensor(value, name.empty() ? std::string(kOnlyTensor) : name);
      case PickleValue::Kind::none:
        return;
      case PickleValue::Kind::boolean:
        return add_metadata(value, name, value.integer != 0);
      case PickleValue::Kind::integer:
        return add_metadata(value, name, value.integer);
      case PickleValue::Kind::real:
        return add_metadata(value, name, value.real);
      case PickleValue::Kind::text:
        return add_metadata(value, name, std::string(value.text));
      default:
        fail_at(name, value, "is {}, not a tensor", name_of(value.kind));
    }
  }

  [[nodiscard]] std::size_t tensors() const { return tensors_; }
  [[nodiscard]] Json take_metadata() { return std::move(metadata_); }
  [[nodiscard]] const std::vector<Scattered>& scattered() const { return scattered_; }

 private:
  template <typename... Args>
  [[noreturn]] void fail_at(const std::string& name, const PickleValue& value,
                            fmt::format_string<Args...> format, Args&&... args) const {
    fail_field(file_.path, name.empty() ? kPickle : name, value.position, format,
               std::forward<Args>(args)...);
  }

  static std::string joined(const std::string& name, std::string_view key) {
    return name.empty() ? std::string(key) : fmt::format("{}.{}", name, key);
  }

  void visit_dict(const PickleValue& dict, const std::string& name, int depth) {
    for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const PickleValue& key = pickle_.at(dict.items[i]);
      const bool text = key.kind == PickleValue::Kind::text;
      if (!text && key.kind != PickleValue::Kind::integer) {
        fail_at(name, key, "{} as the key of a dictionary", name_of(key.kind));
      }
      if (key.text.size() > kLongestKey) {
        fail_at(name, key, "a key of {} bytes; {} are allowed", key.text.size(), kLongestKey);
      }
      visit(dict.items[i + 1],
            joined(name, text ? std::string(key.text) : std::to_string(key.integer)), depth + 1);
    }
  }

  void add_metadata(const PickleValue& value, const std::string& name, const Json& json) {
    builder_.charge(1, 192 + name.size() + value.text.size(), name, value.position);
    const std::string key = name.empty() ? std::string(kOnlyTensor) : name;
    auto& members = metadata_.get_ref<Json::object_t&>();
    if (!members.try_emplace(key, json).second) {
      fail_at(name, value, "a second value of this name");
    }
  }

  [[nodiscard]] const ZipEntry& storage_entry(const PickleValue& storage, const PickleValue& value,
                                              const std::string& name) const {
    if (storage.text.size() > kLongestStorageKey) {
      fail_at(name, value, "the name of its storage is {} bytes long; {} are allowed",
              storage.text.size(), kLongestStorageKey);
    }
    const std::string record = fmt::format("{}data/{}", folder_, storage.text);
    const ZipEntry* entry = directory_.find(record);
    if (entry == nullptr) {
      fail_at(name, value, "its storage {} is not in the archive", base::printable(record));
    }
    const auto bytes = bytes_of(*storage.type, storage.integer);
    if (!bytes || *bytes != entry->size) {
      fail_at(name, value, "its storage {} should hold {} elements of {}, but has {} bytes",
              base::printable(record), storage.integer, storage.type->name, entry->size);
    }
    return *entry;
  }

  [[nodiscard]] std::vector<std::int64_t> integers(PickleId tuple) const {
    std::vector<std::int64_t> numbers;
    for (const PickleId item : pickle_.at(tuple).items) {
      numbers.push_back(pickle_.at(item).integer);
    }
    return numbers;
  }

  void add_tensor(const PickleValue& value, const std::string& name) {
    const PickleValue& storage = pickle_.at(value.items[0]);
    const ZipEntry& entry = storage_entry(storage, value, name);
    StridedTensor tensor;
    tensor.type = storage.type;
    tensor.offset = pickle_.at(value.items[1]).integer;
    tensor.shape = integers(value.items[2]);
    tensor.strides = integers(value.items[3]);
    tensor.elements = storage.integer;
    const std::string wrong = check_window(tensor);
    if (!wrong.empty()) fail_at(name, value, "{}", wrong);
    const bool contiguous = is_contiguous(tensor);
    const auto begin = static_cast<std::uint64_t>(contiguous ? tensor.offset : 0);
    builder_.add(name, *tensor.type, tensor.shape, entry.offset + begin * tensor.type->bytes,
                 value.position);
    if (!contiguous) {
      builder_.charge(1, sizeof(Scattered) + 16 * tensor.shape.size(), name, value.position);
      copied_ += static_cast<std::uint64_t>(*product(tensor.shape)) * tensor.type->bytes;
      if (copied_ > file_.bytes.size()) {
        fail_at(name, value, "the tensors that are not contiguous have more bytes than the file");
      }
      scattered_.push_back({tensors_, std::move(tensor), entry.offset, entry.size});
    }
    ++tensors_;
  }

  const RawFile& file_;
  const ZipDirectory& directory_;
  std::string folder_;
  const PickleReader& pickle_;
  TensorFileBuilder& builder_;
  Json metadata_ = Json::object();
  std::vector<Scattered> scattered_;
  std::size_t tensors_ = 0;
  std::uint64_t visits_ = 0;
  std::uint64_t copied_ = 0;
};

std::string_view content(const RawFile& file, const ZipEntry& entry) {
  return {reinterpret_cast<const char*>(file.bytes.data()) + entry.offset, entry.size};
}

void check_byte_order(const RawFile& file, const ZipDirectory& directory,
                      const std::string& folder) {
  const ZipEntry* entry = directory.find(folder + "byteorder");
  if (entry == nullptr || content(file, *entry) == "little") return;  // old files have none
  fail_field(file.path, "byteorder", entry->offset, "is '{}'; only little-endian files are read",
             base::printable(content(file, *entry), 40));
}

const ZipEntry& find_pickle(const RawFile& file, const ZipDirectory& directory,
                            std::string& full_name) {
  const ZipEntry* entry = directory.find_in_folder(kPickle, full_name);
  if (entry == nullptr) {
    fail_field(file.path, kPickle, 0,
               "is not there once: this zip archive was not written by torch.save");
  }
  if (entry->size > kLongestPickle) {
    fail_field(file.path, kPickle, entry->offset, "{} bytes are more than the {} allowed",
               entry->size, kLongestPickle);
  }
  return *entry;
}

}  // namespace

TensorFile read_torch(const RawFile& file) {
  TensorFileBuilder builder("torch", file);
  const ZipDirectory directory(file, builder);
  std::string folder;
  const ZipEntry& entry = find_pickle(file, directory, folder);
  folder.resize(folder.size() - kPickle.size());
  check_byte_order(file, directory, folder);

  PickleReader pickle(file, entry.offset, entry.offset + entry.size, std::string(kPickle), builder);
  const PickleId root = pickle.run();
  Collector collector(file, directory, folder, pickle, builder);
  collector.visit(root, "", 0);
  if (collector.tensors() == 0) {
    fail_field(file.path, kPickle, entry.offset, "holds no tensor");
  }
  builder.set_metadata(collector.take_metadata());
  TensorFile result = builder.finish(Packing::shared, 0);

  // Only what has passed every check is copied.
  std::vector<std::pair<std::size_t, tensor::Buffer>> copies;
  for (const Scattered& s : collector.scattered()) {
    copies.emplace_back(s.index,
                        gather(s.tensor, file.bytes.subspan(s.storage_begin, s.storage_bytes)));
  }
  TensorFileBuilder::replace_bytes(result, std::move(copies));
  return result;
}

bool is_legacy_torch(const RawFile& file) {
  // The magic number that stood first, pickled; and tar's.
  return starts_with(file, "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.") ||
         starts_with(file, "ustar", 257);
}

}  // namespace assay::files
