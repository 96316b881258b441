#include "precision/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"

namespace assay::precision {
namespace {

Json entry_json(const PlanEntry& entry) {
  Json json = {{"layer", entry.layer.name},
               {"class", std::string(name_of(entry.layer.layer_class))},
               {"rows", entry.layer.rows},
               {"cols", entry.layer.cols},
               {"source", std::string(name_of(entry.layer.source))},
               {"precision", entry.precision.canonical()},
               {"name", entry.precision.name}};
  if (!entry.layer.tied_to.empty()) json["tied_to"] = entry.layer.tied_to;
  if (entry.layer.lookup) json["lookup"] = true;
  if (entry.fallback) json["fallback"] = true;
  if (entry.outliers) json["outlier_columns"] = *entry.outliers;
  if (entry.activation_range) json["activation_range"] = *entry.activation_range;
  if (entry.device.kind != tensor::DeviceKind::cpu) {
    json["device"] = tensor::to_string(entry.device);
  }
  if (entry.reason.empty()) {
    json["kernel"] = to_json(entry.kernel);
  } else {
    json["reason"] = entry.reason;
  }
  return json;
}

}  // namespace

Json to_json(const KernelIdentity& identity) {
  return {{"kernel", std::string(identity.kernel)},
          {"encoding", std::string(name_of(identity.encoding))},
          {"activation", std::string(name_of(identity.activation))},
          {"compute", std::string(tensor::name_of(identity.compute))},
          {"accumulate", std::string(identity.accumulate)},
          {"path", std::string(identity.path)},
          {"device", identity.device == tensor::DeviceKind::cpu ? "cpu" : "cuda"}};
}

std::vector<tensor::Device> Plan::devices() const {
  std::vector<tensor::Device> all;
  for (const PlanEntry& entry : entries) {
    if (std::find(all.begin(), all.end(), entry.device) == all.end()) all.push_back(entry.device);
  }
  return all;
}

std::string Plan::device_names() const {
  std::string names;
  for (const tensor::Device& used : devices()) {
    names += (names.empty() ? "" : "+") + tensor::to_string(used);
  }
  return names.empty() ? tensor::to_string(device) : names;
}

tensor::Device Plan::device_of_block(std::int64_t index) const {
  if (blocks.empty()) return device;
  const auto last = std::ssize(blocks) - 1;
  return blocks[static_cast<std::size_t>(std::clamp<std::int64_t>(index, 0, last))];
}

bool Plan::supported() const {
  return std::all_of(entries.begin(), entries.end(),
                     [](const PlanEntry& e) { return e.reason.empty(); });
}

bool Plan::awaits_calibration() const {
  const bool needed = std::ranges::any_of(
      entries, [](const PlanEntry& e) { return e.precision.needs_calibration(); });
  return needed && calibration.is_null();
}

std::string Plan::reasons() const {
  constexpr std::size_t kShown = 2;
  std::vector<std::string> first;  // one layer for each distinct reason
  std::vector<std::string> seen;
  for (const PlanEntry& entry : entries) {
    if (entry.reason.empty()) continue;
    if (std::find(seen.begin(), seen.end(), entry.reason) != seen.end()) continue;
    seen.push_back(entry.reason);
    const auto count = std::count_if(entries.begin(), entries.end(),
                                     [&](const PlanEntry& e) { return e.reason == entry.reason; });
    const std::string others = count > 1 ? fmt::format(" and {} more", count - 1) : "";
    first.push_back(fmt::format("{}{}: {}", entry.layer.name, others, entry.reason));
  }
  const std::size_t shown = std::min(first.size(), kShown);
  std::string text = fmt::format("{}", fmt::join(first.begin(), first.begin() + shown, "; "));
  if (first.size() > shown) text += fmt::format("; {} other reasons", first.size() - shown);
  return text;
}

Json Plan::to_json() const {
  Json json = {{"recipe", recipe},
               {"recipe_canonical", recipe_canonical},
               {"source", source},
               {"source_quantized", source_quantized},
               {"device", device_names()},
               {"activations", std::string(tensor::name_of(activations))},
               {"kv", std::string(tensor::name_of(kv))},
               {"notices", notices},
               {"entries", Json::array()}};
  if (!calibration.is_null()) json["calibration"] = calibration;
  for (const PlanEntry& entry : entries) json["entries"].push_back(entry_json(entry));
  return json;
}

std::string Plan::hash() const {
  // Names and notices are for people: two names of one plan have one hash.
  Json json = to_json();
  json["asked"] = tensor::to_string(device);
  json.erase("recipe");
  json.erase("notices");
  if (json.contains("calibration")) json["calibration"].erase("origin");
  return base::sha256_hex(json.dump(-1, ' ', true, Json::error_handler_t::replace));
}

}  // namespace assay::precision
