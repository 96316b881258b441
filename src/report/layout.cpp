#include "report/layout.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace assay::report {
namespace {

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::size_t own = display_width(text);
  const std::string space(width > own ? width - own : 0, ' ');
  return right ? space + text : text + space;
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '|' ? "\\|" : c == '\n' ? " " : std::string(1, c);
  return result;
}

std::string superscript(std::size_t number) {
  constexpr std::array<const char*, 10> kDigits = {"⁰", "¹", "²", "³", "⁴",
                                                   "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string result;
  for (const char digit : std::to_string(number)) result += kDigits[std::size_t(digit - '0')];
  return result;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t code = -1;
    const utf8proc_ssize_t used = utf8proc_iterate(at, left, &code);
    width += used <= 0 ? 1 : static_cast<std::size_t>(utf8proc_charwidth(code));
    at += std::max<utf8proc_ssize_t>(used, 1);
    left -= std::max<utf8proc_ssize_t>(used, 1);
  }
  return width;
}

Grid Grid::compact() const {
  Grid result;
  std::vector<std::size_t> kept;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (std::ranges::any_of(lines, [c](const auto& line) { return !line[c].empty(); })) {
      kept.push_back(c);
      result.columns.push_back(columns[c]);
    }
  }
  for (const auto& line : lines) {
    auto& texts = result.lines.emplace_back();
    for (const std::size_t c : kept) texts.push_back(line[c]);
  }
  return result;
}

std::string Grid::plain() const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::size_t width = display_width(columns[c].title);
    for (const auto& line : lines) width = std::max(width, display_width(line[c]));
    widths.push_back(width);
  }
  std::string result;
  const auto append = [&](const auto& text_of) {
    std::string line;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      line += (c > 0 ? "  " : "") + padded(text_of(c), widths[c], columns[c].right);
    }
    result += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  append([&](std::size_t c) { return columns[c].title; });
  append([&](std::size_t c) { return std::string(widths[c], '-'); });
  for (const auto& line : lines) append([&](std::size_t c) { return line[c]; });
  return result;
}

std::string Grid::markdown() const {
  std::string result = "|";
  for (const Column& column : columns) result += " " + escaped(column.title) + " |";
  result += "\n|";
  for (const Column& column : columns) result += column.right ? " ---: |" : " --- |";
  result += "\n";
  for (const auto& line : lines) {
    result += "|";
    for (const auto& text : line) result += " " + escaped(text) + " |";
    result += "\n";
  }
  return result;
}

std::string Notes::add(const std::string& note) {
  auto at = std::ranges::find(notes_, note);
  if (at == notes_.end()) at = notes_.insert(at, note);
  return superscript(static_cast<std::size_t>(at - notes_.begin()) + 1);
}

std::string Notes::lines(bool markdown) const {
  std::string result;
  for (std::size_t i = 0; i < notes_.size(); ++i) {
    result += superscript(i + 1) + " " + notes_[i] + (markdown ? "  \n" : "\n");
  }
  return result;
}

}  // namespace assay::report
