#include <algorithm>
#include <vector>

#include "report/report.h"

namespace assay::report {
namespace {

const std::vector<std::string> kRowColumns = {"model",  "source", "recipe",   "device", "status",
                                              "reason", "proved", "fallback", "test"};

/// RFC 4180: quoted where it must be. A text that a spreadsheet would run as a formula gets a quote
/// before it.
std::string field(const Json& value) {
  if (value.is_null()) return {};
  std::string text = value.is_string() ? value.get<std::string>()
                                       : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (value.is_string() && text.find_first_of("=+-@") == 0) text.insert(0, "'");
  if (text.find_first_of("\",\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

/// A metric's fields as columns: its value under the metric's own name, "latency_p99", and the
/// interval as two. Tables (a confusion matrix) have no place in a line.
std::vector<std::pair<std::string, Json>> flattened(const std::string& name, const Json& metric) {
  std::vector<std::pair<std::string, Json>> columns;
  if (!metric.is_object()) return columns;
  if (const Json value = metric.value("value", Json()); !value.is_structured()) {
    columns.emplace_back(name, value);
  }
  for (const auto& [key, value] : metric.items()) {
    if (key == "ci95" && value.is_array() && value.size() == 2) {
      columns.emplace_back(name + "_ci95_low", value[0]);
      columns.emplace_back(name + "_ci95_high", value[1]);
    } else if (key != "value" && !value.is_structured()) {
      columns.emplace_back(fmt::format("{}_{}", name, key), value);
    }
  }
  return columns;
}

}  // namespace

std::string csv(const std::vector<study::StoredCell>& cells) {
  const Json rows = document(cells)["rows"];
  std::vector<std::string> columns = kRowColumns;
  std::vector<Json> lines;
  for (const Json& row : rows) {
    Json& line = lines.emplace_back(Json::object());
    for (const auto& name : kRowColumns) line[name] = row.value(name, Json());
    const auto add = [&](const std::string& column, const Json& value) {
      line[column] = value;
      if (std::ranges::find(columns, column) == columns.end()) columns.push_back(column);
    };
    if (const Json counts = row.value("iterations", Json()); counts.is_object()) {
      for (const char* count : {"asked", "ran"}) {
        add(fmt::format("iterations_{}", count), counts.value(count, Json()));
      }
    }
    const Json metrics = row.value("metrics", Json::object());
    for (const auto& [name, metric] : metrics.items()) {
      for (const auto& [column, value] : flattened(name, metric)) add(column, value);
    }
  }
  std::string text;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    text += (c > 0 ? "," : "") + field(columns[c]);
  }
  text += "\r\n";
  for (const Json& line : lines) {
    for (std::size_t c = 0; c < columns.size(); ++c) {
      text += (c > 0 ? "," : "") + field(line.value(columns[c], Json()));
    }
    text += "\r\n";
  }
  return text;
}

}  // namespace assay::report
