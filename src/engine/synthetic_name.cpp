#include <algorithm>
#include <charconv>

#include "base/io.h"
#include "engine/synthetic.h"
#include "models/synthetic.h"

namespace assay::engine {
namespace {

constexpr std::string_view kPrefix = "synthetic:";

std::uint64_t parse_seed(std::string_view text, const std::string& whole) {
  std::uint64_t seed = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (result.ec != std::errc{} || result.ptr != text.data() + text.size()) {
    fail(ErrorCode::usage, "{}: 'seed=' takes a whole number, not '{}'", base::printable(whole),
         base::printable(text));
  }
  return seed;
}

}  // namespace

std::optional<SyntheticModel> parse_synthetic(const std::string& text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  SyntheticModel model;
  std::size_t begin = kPrefix.size();
  for (bool first = true; begin <= text.size(); first = false) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    if (first) {
      model.like = part;
    } else if (part.starts_with("seed=")) {
      model.seed = parse_seed(std::string_view(part).substr(5), text);
    } else if (part == "outliers") {
      model.outliers = true;
    } else {
      fail(ErrorCode::usage, "{}: '{}' is neither seed=N nor outliers", base::printable(text),
           base::printable(part));
    }
    begin = end + 1;
  }
  static_cast<void>(models::synthetic_config(model.like));
  return model;
}

std::string to_string(const SyntheticModel& model) {
  return fmt::format("{}{}:seed={}{}", kPrefix, model.like, model.seed,
                     model.outliers ? ":outliers" : "");
}

}  // namespace assay::engine
