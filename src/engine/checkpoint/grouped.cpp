#include "engine/checkpoint/grouped.h"

#include <algorithm>
#include <numeric>

#include "precision/encodings/grouped.h"

namespace assay::engine {
namespace {

using precision::EncodedTensor;
using precision::Encoding;

constexpr std::int64_t kGroupUnit = precision::kGroupUnit;

[[noreturn]] void fail_layer(const CheckpointParts& parts, const GroupedLayer& layer,
                             const std::string& why) {
  fail(ErrorCode::unsupported, "{}: '{}' ({}, {} bit): {}", parts.file().path().string(),
       base::printable(layer.weight), layer.method, layer.bits, why);
}

void check_groups(const CheckpointParts& parts, const GroupedLayer& layer) {
  if (layer.cols % kGroupUnit != 0) {
    fail_layer(parts, layer,
               fmt::format("{} columns are no multiple of {}", layer.cols, kGroupUnit));
  }
  if (layer.group % kGroupUnit != 0) {
    fail_layer(parts, layer,
               fmt::format("groups of {} columns are not read: multiples of {} are", layer.group,
                           kGroupUnit));
  }
}

/// Columns sorted by their group, none where they are sorted already.
std::vector<std::int32_t> stored_order(const CheckpointParts& parts, const GroupedLayer& layer) {
  const std::vector<std::int32_t>& group_of = layer.group_of;
  std::vector<std::int32_t> order(group_of.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return group_of[static_cast<std::size_t>(a)] < group_of[static_cast<std::size_t>(b)];
  });
  for (std::size_t j = 0; j < order.size(); ++j) {
    const std::int32_t group = group_of[static_cast<std::size_t>(order[j])];
    if (group == static_cast<std::int64_t>(j) / layer.group) continue;
    fail_layer(parts, layer, fmt::format("g_idx does not fill groups of {} columns", layer.group));
  }
  return std::is_sorted(order.begin(), order.end()) ? std::vector<std::int32_t>() : order;
}

/// Row-major codes over stored columns: int4 two to a byte, the first low; uint8 one.
precision::SharedBytes put_in_order(const GroupedLayer& layer,
                                    const std::vector<std::int32_t>& order) {
  const std::int64_t row_bytes = layer.bits == 4 ? layer.cols / 2 : layer.cols;
  tensor::Buffer codes(static_cast<std::size_t>(layer.rows * row_bytes));
  std::vector<std::uint8_t> column(static_cast<std::size_t>(layer.rows));
  for (std::int64_t j = 0; j < layer.cols; ++j) {
    const std::int64_t from = order.empty() ? j : order[static_cast<std::size_t>(j)];
    layer.column_codes(from, column);
    std::byte* to = codes.data() + (layer.bits == 4 ? j / 2 : j);
    const bool second = layer.bits == 4 && j % 2 == 1;
    for (std::int64_t r = 0; r < layer.rows; ++r, to += row_bytes) {
      const auto code = static_cast<std::byte>(column[static_cast<std::size_t>(r)]);
      *to = second ? *to | (code << 4) : code;
    }
  }
  return precision::share(std::move(codes));
}

}  // namespace

void replace_grouped(CheckpointParts& parts, GroupedLayer layer,
                     const std::vector<const files::StoredTensor*>& used) {
  check_groups(parts, layer);
  auto groups = std::make_shared<precision::Grouping>();
  groups->size = layer.group;
  groups->zeros = std::move(layer.zeros);
  groups->order = stored_order(parts, layer);

  files::StoredTensor whole;
  whole.name = layer.weight;
  whole.encoding = layer.bits == 4 ? Encoding::int4 : Encoding::uint8;
  whole.type = fmt::format("{} {}", layer.method, precision::name_of(whole.encoding));
  whole.shape = {layer.rows, layer.cols};
  whole.assemble = [file = parts.shared_file(), encoding = whole.encoding, layer = std::move(layer),
                    groups] {
    return EncodedTensor{.encoding = encoding,
                         .rows = layer.rows,
                         .cols = layer.cols,
                         .codes = put_in_order(layer, groups->order),
                         .scales = layer.scales,
                         .nested = nullptr,
                         .groups = groups};
  };
  parts.replace(std::move(whole), used);
}

std::vector<float> transposed(const std::vector<float>& values, std::int64_t groups,
                              std::int64_t rows) {
  std::vector<float> result(values.size());
  for (std::int64_t g = 0; g < groups; ++g) {
    for (std::int64_t r = 0; r < rows; ++r) {
      result[static_cast<std::size_t>(r * groups + g)] =
          values[static_cast<std::size_t>(g * rows + r)];
    }
  }
  return result;
}

std::int64_t config_integer(const Json& config, const char* key, const std::string& source) {
  const auto it = config.find(key);
  if (it != config.end() && it->is_number_integer()) return it->get<std::int64_t>();
  fail(ErrorCode::bad_data, "{}: '{}' must be an integer", source, key);
}

precision::Precision weight_only(Encoding encoding) {
  precision::Precision precision;
  precision.name = precision::name_of(encoding);
  precision.weight = encoding;
  precision.quantized = true;
  return precision;
}

}  // namespace assay::engine
