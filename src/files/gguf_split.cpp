#include "files/gguf_split.h"

#include <charconv>

#include "files/gguf.h"
#include "files/parts_merger.h"
#include "files/single_file.h"

namespace assay::files {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".gguf";
constexpr std::string_view kOf = "-of-";
constexpr std::size_t kDigits = 5;

/// Takes five digits from the end of `text`.
std::optional<std::uint32_t> take_number(std::string_view& text) {
  if (text.size() < kDigits) return std::nullopt;
  const std::string_view digits = text.substr(text.size() - kDigits);
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + kDigits, number);
  if (error != std::errc() || end != digits.data() + kDigits) return std::nullopt;
  text.remove_suffix(kDigits);
  return number;
}

/// One of the split.* keys, which must be an integer from 0.
std::uint64_t split_value(const TensorFile& part, const char* key) {
  const auto found = part.metadata().find(key);
  if (found == part.metadata().end()) {
    fail_field(part.path(), key, 0, "is missing in a file named as a part of several");
  }
  const bool natural = found->is_number_unsigned() ||
                       (found->is_number_integer() && found->get<std::int64_t>() >= 0);
  if (!natural) fail_field(part.path(), key, 0, "must be an integer from 0");
  return found->get<std::uint64_t>();
}

void check_part(const TensorFile& part, std::size_t index, std::size_t count) {
  const std::uint64_t claimed = split_value(part, "split.count");
  if (claimed != count) {
    fail_field(part.path(), "split.count", 0, "is {}, but the file's name says {}", claimed, count);
  }
  const std::uint64_t number = split_value(part, "split.no");
  if (number != index) {
    fail_field(part.path(), "split.no", 0, "is {}, but the file's name says {} (counted from 0)",
               number, index);
  }
}

bool is_split(const TensorFile& file) {
  const Json& metadata = file.metadata();
  return metadata.contains("split.count") && split_value(file, "split.count") > 1;
}

}  // namespace

std::optional<SplitName> split_name(const fs::path& file) {
  const std::string name = file.filename().string();
  std::string_view rest = name;
  if (!rest.ends_with(kExtension)) return std::nullopt;
  rest.remove_suffix(kExtension.size());
  const auto count = take_number(rest);
  if (!count || !rest.ends_with(kOf)) return std::nullopt;
  rest.remove_suffix(kOf.size());
  const auto number = take_number(rest);
  if (!number || !rest.ends_with('-')) return std::nullopt;
  rest.remove_suffix(1);
  if (rest.empty() || *number < 1 || *number > *count) return std::nullopt;
  return SplitName{std::string(rest), *number, *count};
}

std::vector<fs::path> split_parts(const fs::path& file, const SplitName& name) {
  std::vector<fs::path> parts;
  for (std::uint32_t i = 1; i <= name.count; ++i) {
    parts.push_back(file.parent_path() /
                    fmt::format("{}-{:05}-of-{:05}{}", name.stem, i, name.count, kExtension));
  }
  return parts;
}

TensorFile open_gguf_with_parts(const RawFile& file) {
  TensorFile given = read_gguf(file);
  if (!is_split(given)) return given;
  const auto name = split_name(file.path);
  if (!name) {
    fail_field(file.path, "split.count", 0,
               "is {}: this is a part of several, which must keep its name (<model>-00001-of-{:05}"
               ".gguf) to find the others",
               split_value(given, "split.count"), split_value(given, "split.count"));
  }
  check_part(given, name->number - 1, name->count);
  if (name->number != 1) given = {};  // its metadata are not needed, and may be large
  const std::vector<fs::path> paths = split_parts(file.path, *name);
  PartsMerger merger(paths.front());
  std::uint64_t expected = 0;
  std::size_t added = 0;
  const auto add = [&](TensorFile part) {
    check_part(part, added, paths.size());
    if (added == 0) expected = split_value(part, "split.tensors.count");
    merger.add(std::move(part));
    ++added;
  };
  if (name->number == 1) add(std::move(given));
  while (added < paths.size()) add(read_gguf(map_file(paths[added])));
  TensorFile merged = merger.finish();
  if (merged.tensors().size() != expected) {
    fail_field(paths.front(), "split.tensors.count", 0, "is {}, but the {} files hold {} tensors",
               expected, paths.size(), merged.tensors().size());
  }
  return merged;
}

}  // namespace assay::files
