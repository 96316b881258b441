#include "tasks/multiple_choice.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "stats/samples.h"
#include "tasks/choice_scorer.h"
#include "tasks/metrics.h"

namespace assay::tasks {
namespace {

/// The text of an item as `assay report --items` shows it: the end of the question, where shots and
/// preamble are not.
std::string shown_text(const ChoiceItem& item) {
  const std::size_t shots = item.context.rfind("\n\n");
  return shots == std::string::npos ? item.context : item.context.substr(shots + 2);
}

std::size_t best_of(std::span<const double> values) {
  return static_cast<std::size_t>(std::ranges::max_element(values) - values.begin());
}

Json answer_of(std::size_t index, const ChoiceItem& item, std::span<const ChoiceScore> scores) {
  std::vector<double> likelihoods;
  std::vector<double> per_character;
  for (std::size_t c = 0; c < scores.size(); ++c) {
    likelihoods.push_back(scores[c].log_likelihood);
    per_character.push_back(scores[c].log_likelihood / double(code_points(item.choices[c])));
  }
  Json answer = {{"i", index},
                 {"gold", item.gold},
                 {"predicted", best_of(likelihoods)},
                 {"predicted_norm", best_of(per_character)},
                 {"log_likelihoods", likelihoods},
                 {"text", shown_text(item)},
                 {"choices", item.choices}};
  if (!item.group.empty()) answer["group"] = item.group;
  return answer;
}

std::vector<ChoiceTokens> tokenize(const text::Tokenizer& tokenizer, const ChoiceData& data) {
  std::vector<ChoiceTokens> tokens;
  for (std::size_t i = 0; i < data.items.size(); ++i) {
    base::check_interrupted();
    const std::string place = fmt::format("{}: item {}", data.source, i + 1);
    tokens.push_back(tokenize_item(tokenizer, data.items[i], data.delimiter, place));
    const auto group = std::ranges::find(data.groups, data.items[i].group);
    tokens.back().group = static_cast<int>(group - data.groups.begin());
  }
  return tokens;
}

/// Right answers of some items.
struct Tally {
  std::int64_t correct = 0;
  std::int64_t correct_norm = 0;
  std::int64_t items = 0;
  double chance = 0.0;

  void add(const Json& answer) {
    ++items;
    correct += answer.at("predicted") == answer.at("gold") ? 1 : 0;
    correct_norm += answer.at("predicted_norm") == answer.at("gold") ? 1 : 0;
    chance += 1.0 / double(answer.at("choices").size());
  }
};

Json metrics_of(const ChoiceData& data, const Json& answers) {
  Tally all;
  std::map<std::string, Tally> parts;
  for (const Json& answer : answers) {
    all.add(answer);
    if (!answer.contains("group")) continue;
    const auto subject = answer.at("group").get<std::string>();
    parts[subject].add(answer);
    if (const auto group = mmlu_group(subject); !group.empty())
      parts[std::string(group)].add(answer);
  }
  Json metrics;
  const double chance = all.chance / double(all.items);
  add_accuracy(metrics, "acc", all.correct, all.items, chance);
  if (data.normalized) add_accuracy(metrics, "acc_norm", all.correct_norm, all.items, chance);
  for (const auto& [name, tally] : parts) {
    metrics[fmt::format("acc_{}_{}", data.task, name)] =
        accuracy_metric(tally.correct, tally.items, tally.chance / double(tally.items));
  }
  return metrics;
}

}  // namespace

TaskResult run_multiple_choice(engine::Model& model, const ChoiceData& data,
                               const TaskOptions& options) {
  if (model.config().head != models::HeadKind::language_model) {
    fail(ErrorCode::usage, "{} is no language model; {} needs one", model.source().name(),
         data.task);
  }
  if (options.progress) options.progress(data.task + ": tokenize", 0.0);
  const auto begin = std::chrono::steady_clock::now();
  const auto tokens = tokenize(model.source().tokenizer(), data);
  ChoiceScorer scorer(model, tokens, {.batch = options.batch});
  TaskResult result{.task = data.task, .metrics = {}, .items = Json::array(), .notes = data.notes};
  ItemLog log(data.items.size(), options);
  scorer.run(log.done(), [&](std::span<const ChoiceScorer::Scored> scored, double fraction) {
    for (const auto& one : scored) {
      log.add(answer_of(one.item, data.items[one.item], one.choices));
    }
    log.flush();
    if (options.progress) options.progress(data.task, fraction);
  });
  result.items = log.take();
  result.metrics = metrics_of(data, result.items);
  log.add_notes(result.notes);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  result.metrics["items_per_second"] = metric(double(log.answered()) / seconds.count(), "items/s");
  result.metrics["truncated_items"] = {{"value", scorer.truncated()}, {"unit", "items"}};
  if (scorer.truncated() > 0) {
    result.notes.push_back(
        fmt::format("{} of {} items are longer than the model's {} positions and lost tokens on "
                    "the left",
                    scorer.truncated(), data.items.size(), model.config().max_positions));
  }
  return result;
}

}  // namespace assay::tasks
