#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/io.h"
#include "base/names.h"
#include "engine/planner.h"
#include "files/hub_cache.h"
#include "precision/recipe.h"
#include "study/study.h"
#include "study/study_parts.h"

namespace assay::study {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostThreads = 4096;
constexpr std::int64_t kMostRounds = 1000;
constexpr std::size_t kMostCells = 10'000;
constexpr std::size_t kMostTaskBytes = std::size_t{64} << 20;

/// A recipe as a cell carries it, and whether it leaves every layer in 16 bit or fp32.
struct NamedRecipe {
  std::string name;
  Json spec;
  bool plain = false;
};

/// What a model takes from the study where it says nothing itself.
struct Defaults {
  std::vector<std::string> devices = {"cpu"};
  int threads = 0;
  bool fallback = false;
};

/// `sixteen_bit` of the study, for recipes that do not name their own. Plain ones keep their
/// meaning: bf16 is bf16.
Json with_sixteen_bit(const Json& spec, const std::string& type) {
  if (type == "auto") return spec;
  if (spec.is_string()) return {{"default", spec}, {"sixteen_bit", type}};
  const bool ours = spec.contains("default") || spec.contains("precision");
  if (!ours || spec.contains("sixteen_bit")) return spec;
  Json result = spec;
  result["sixteen_bit"] = type;
  return result;
}

/// A device that is missing here is the business of check(); a text that names none is a mistake.
void check_device(const YamlNode& node) {
  try {
    static_cast<void>(engine::resolve_device(node.text()));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::usage) node.fail_here(error.what());
  }
}

class StudyReader {
 public:
  StudyReader(const YamlNode& root, const fs::path& file)
      : root_(root), folder_(fs::absolute(file).parent_path()) {
    study_.name = file.stem().string();
  }
  Study read();

 private:
  [[nodiscard]] NamedRecipe parsed(const std::string& name, const Json& spec,
                                   const YamlNode& node) const;
  void read_recipes(const YamlNode& node);
  [[nodiscard]] NamedRecipe recipe_of(const YamlNode& node) const;
  [[nodiscard]] std::vector<NamedRecipe> model_recipes(const YamlNode& model) const;
  [[nodiscard]] NamedRecipe baseline_of(const YamlNode& model,
                                        const std::vector<NamedRecipe>& recipes) const;
  [[nodiscard]] Defaults defaults_of(const YamlNode& node, Defaults defaults) const;
  void check_size(const YamlNode& model, std::size_t cells, const Json& tasks);
  void read_model(const YamlNode& node);
  void check_ids(const YamlNode& models, const std::vector<std::size_t>& first_cells) const;

  const YamlNode& root_;
  fs::path folder_;
  std::string sixteen_bit_ = "auto";
  int rounds_ = 1;
  std::map<std::string, NamedRecipe> recipes_;
  Defaults defaults_;
  std::size_t task_bytes_ = 0;
  Study study_;
};

/// None where it asks for a precision that this build does not have: its cells say so, and the
/// others run.
std::optional<precision::Recipe> parse_available(const std::string& name, const Json& spec,
                                                 const std::string& place) {
  try {
    return precision::parse_recipe(name, spec,
                                   fmt::format("{}: recipe '{}'", place, base::printable(name)));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
    return std::nullopt;
  }
}

NamedRecipe StudyReader::parsed(const std::string& name, const Json& spec,
                                const YamlNode& node) const {
  NamedRecipe named{.name = name, .spec = precision::with_absolute_paths(spec, folder_)};
  const auto available = parse_available(name, named.spec, node.place());
  if (!available) return named;
  const precision::Recipe& recipe = *available;
  named.plain = !recipe.default_precision.quantized &&
                std::ranges::none_of(recipe.rules, [](const precision::Rule& rule) {
                  return rule.precision.quantized;
                });
  if (!named.plain) named.spec = with_sixteen_bit(named.spec, sixteen_bit_);
  return named;
}

void StudyReader::read_recipes(const YamlNode& node) {
  for (const auto& [name, spec] : node.members()) {
    recipes_[name] = parsed(name, spec.value(), spec);
  }
}

/// A name of the study's map, a precision's name, or a mapping, which may name itself.
NamedRecipe StudyReader::recipe_of(const YamlNode& node) const {
  if (node.value().is_object()) {
    Json spec = node.value();
    const auto name = node.get("name");
    spec.erase("name");
    return parsed(name ? name->text() : spec.dump(), spec, node);
  }
  const std::string name = node.text();
  if (const auto found = recipes_.find(name); found != recipes_.end()) return found->second;
  std::vector<std::string> known = precision::precision_names();
  if (std::ranges::find(known, name) != known.end()) return parsed(name, name, node);
  for (const auto& [own, recipe] : recipes_) known.push_back(own);
  node.fail_here(fmt::format("there is no recipe or precision '{}'{}", base::printable(name),
                             base::did_you_mean(name, known)));
}

std::vector<NamedRecipe> StudyReader::model_recipes(const YamlNode& model) const {
  std::vector<NamedRecipe> recipes;
  std::set<std::string> seen;
  for (const YamlNode& node : model.need("a model", "recipes").elements()) {
    recipes.push_back(recipe_of(node));
    if (!seen.insert(recipes.back().name).second) {
      node.fail_here(
          fmt::format("the recipe '{}' stands twice", base::printable(recipes.back().name)));
    }
  }
  if (recipes.empty()) model.need("a model", "recipes").fail_here("'recipes' is empty");
  return recipes;
}

/// Empty name where the model has none.
NamedRecipe StudyReader::baseline_of(const YamlNode& model,
                                     const std::vector<NamedRecipe>& recipes) const {
  if (const auto node = model.get("baseline")) {
    if (!node->value().is_string()) node->fail_here("'baseline' is the name of a recipe");
    const auto same = std::ranges::find(recipes, node->text(), &NamedRecipe::name);
    return same != recipes.end() ? *same : recipe_of(*node);
  }
  const auto plain = std::ranges::find(recipes, true, &NamedRecipe::plain);
  return plain == recipes.end() ? NamedRecipe{} : *plain;
}

Defaults StudyReader::defaults_of(const YamlNode& node, Defaults defaults) const {
  if (const auto devices = node.get("device")) {
    defaults.devices.clear();
    for (const YamlNode& device : devices->elements()) {
      check_device(device);
      defaults.devices.push_back(device.text());
    }
  }
  if (const auto threads = node.get("threads")) {
    defaults.threads = static_cast<int>(threads->integer(0, kMostThreads));
  }
  if (const auto choice = node.get("on_unsupported")) {
    defaults.fallback = choice->one_of({"fail", "fallback"}) == "fallback";
  }
  return defaults;
}

/// A path from the study's folder, a synthetic model, or what a name in the Hugging Face cache
/// stands for. What is not there stays as it is: the check of the study tells it among all
/// problems.
std::string read_model_path(const YamlNode& node, const fs::path& folder) {
  if (const auto synthetic = engine::parse_synthetic(node.text())) {
    return engine::to_string(*synthetic);
  }
  std::string path = read_path(node, folder);
  std::error_code ignored;
  if (fs::exists(path, ignored) || !files::parse_repo_name(node.text())) return path;
  try {
    return fs::absolute(files::find_model(node.text())).string();
  } catch (const Error&) {
    return path;
  }
}

std::string model_id(const YamlNode& node, const fs::path& path) {
  if (const auto name = node.get("name")) return name->text();
  if (const auto synthetic = engine::parse_synthetic(path.string())) return synthetic->like;
  if (const auto name = files::snapshot_name(path)) return *name;
  const fs::path last = path.has_filename() ? path.filename() : path.parent_path().filename();
  return fs::is_directory(path) ? last.string() : last.stem().string();
}

/// Fidelity is a distance from a baseline, so its task carries the recipe of that.
Json with_baseline(Json tasks, const NamedRecipe& baseline, const YamlNode& model) {
  for (Json& task : tasks) {
    if (task["task"] != "fidelity") continue;
    if (baseline.name.empty()) {
      model.fail_here("fidelity needs a baseline: add bf16 to the recipes, or name one");
    }
    task["baseline"] = {{"name", baseline.name}, {"spec", baseline.spec}};
  }
  return tasks;
}

/// Cells are a product, and each has the tasks as its own: a short file could ask for gigabytes.
void StudyReader::check_size(const YamlNode& model, std::size_t cells, const Json& tasks) {
  if (cells > kMostCells - study_.cells.size()) {
    model.fail_here(fmt::format("a study of more than {} cells; split it", kMostCells));
  }
  task_bytes_ += cells * tasks.dump().size();
  if (task_bytes_ > kMostTaskBytes) {
    model.fail_here(fmt::format("the tasks of all cells take more than {} MiB; split the study",
                                kMostTaskBytes >> 20));
  }
}

void StudyReader::read_model(const YamlNode& node) {
  node.check_keys("a model", {"model", "name", "recipes", "baseline", "device", "threads",
                              "on_unsupported", "workload", "tasks"});
  const std::string path = read_model_path(node.need("a model", "model"), folder_);
  const auto recipes = model_recipes(node);
  const NamedRecipe baseline = baseline_of(node, recipes);
  const Defaults settings = defaults_of(node, defaults_);
  const auto workload = node.get("workload");
  const auto tasks = node.get("tasks");

  Cell cell{.id = {}, .model = path, .recipe_name = {}, .recipe = {}, .baseline = baseline.name};
  cell.threads = settings.threads;
  cell.fallback = settings.fallback;
  cell.tasks = with_baseline(tasks ? read_tasks(*tasks, folder_) : Json::array(), baseline, node);
  // Tasks alone are scored without timing; a model with neither is timed by the default workload.
  Json timed = workload ? read_workload(*workload, folder_) : tasks ? Json() : Json::object();
  if (timed.is_object() && rounds_ > 1) timed["interleave"] = rounds_;
  check_size(node, settings.devices.size() * recipes.size(), cell.tasks);
  for (const auto& device : settings.devices) {
    for (const auto& recipe : recipes) {
      cell.recipe_name = recipe.name;
      cell.recipe = recipe.spec;
      cell.device = device;
      cell.workload = timed;
      // The difference that means nothing is that of the baseline against itself.
      if (recipe.name != baseline.name && timed.is_object()) cell.workload.erase("noise_floor");
      cell.id = model_id(node, path) + "/" + recipe.name;
      if (settings.devices.size() > 1) cell.id += "@" + device;
      study_.cells.push_back(cell);
    }
  }
}

void StudyReader::check_ids(const YamlNode& models,
                            const std::vector<std::size_t>& first_cells) const {
  std::set<std::string> seen;
  const auto nodes = models.elements();
  for (std::size_t m = 0; m < nodes.size(); ++m) {
    for (std::size_t i = first_cells[m]; i < first_cells[m + 1]; ++i) {
      if (seen.insert(study_.cells[i].id).second) continue;
      nodes[m].fail_here(fmt::format("two cells are called '{}': give the models a 'name' each",
                                     base::printable(study_.cells[i].id)));
    }
  }
}

Study StudyReader::read() {
  root_.check_keys("a study", {"name", "store", "sixteen_bit", "device", "threads",
                               "on_unsupported", "interleave", "recipes", "models"});
  if (const auto name = root_.get("name")) study_.name = name->text();
  if (const auto store = root_.get("store")) study_.store = read_path(*store, folder_);
  if (const auto type = root_.get("sixteen_bit")) {
    sixteen_bit_ = type->one_of({"auto", "bf16", "fp16"});
  }
  if (const auto rounds = root_.get("interleave")) {
    rounds_ = static_cast<int>(rounds->integer(1, kMostRounds));
  }
  defaults_ = defaults_of(root_, defaults_);
  if (const auto recipes = root_.get("recipes")) read_recipes(*recipes);
  const YamlNode models = root_.need("a study", "models");
  std::vector<std::size_t> first_cells = {0};
  for (const YamlNode& model : models.elements()) {
    read_model(model);
    first_cells.push_back(study_.cells.size());
  }
  if (study_.cells.empty()) models.fail_here("'models' is empty");
  check_ids(models, first_cells);
  return std::move(study_);
}

}  // namespace

Study read_study(const fs::path& file) {
  base::YamlDocument document = base::read_yaml(file);
  const std::string name = file.string();
  expand_environment(document, name);
  const YamlNode root(document, name);
  return StudyReader(root, file).read();
}

}  // namespace assay::study
