#include "base/names.h"

#include <algorithm>
#include <cstddef>

#include "base/io.h"

namespace assay::base {

namespace {

// Names come from files and command lines: the quadratic distance sees no more than this much.
constexpr std::size_t kCompared = 200;

std::string folded(std::string_view name) {
  std::string text(name.substr(0, kCompared));
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, above[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

struct Candidate {
  std::size_t distance;
  std::size_t index;
};

bool contains(std::string_view text, std::string_view part) {
  return part.size() >= 3 && text.find(part) != std::string_view::npos;
}

}  // namespace

std::vector<std::string> near_names(std::string_view wanted, std::span<const std::string> known,
                                    std::size_t most) {
  const std::string target = folded(wanted);
  std::vector<Candidate> near;
  for (std::size_t i = 0; i < known.size(); ++i) {
    const std::string name = folded(known[i]);
    const std::size_t longer = std::max(name.size(), target.size());
    const std::size_t allowed = std::max<std::size_t>(1, longer / 2);
    const std::size_t apart = longer - std::min(name.size(), target.size());
    const bool part = contains(name, target) || contains(target, name);
    if (apart > allowed && !part) continue;
    const std::size_t distance = edit_distance(target, name);
    if (distance <= allowed || part) near.push_back({distance, i});
  }
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.index < b.index;
  };
  const std::size_t count = std::min(most, near.size());
  std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(count), near.end(),
                    better);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back(known[near[i].index]);
  return names;
}

std::string did_you_mean(std::string_view wanted, std::span<const std::string> known) {
  const std::vector<std::string> names = near_names(wanted, known);
  if (names.empty()) return {};
  std::string text = "; did you mean ";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += printable(names[i]);
  }
  return text + "?";
}

}  // namespace assay::base
