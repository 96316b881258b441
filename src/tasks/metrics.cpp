#include "tasks/metrics.h"

#include <cmath>
#include <utility>

#include "stats/samples.h"

namespace assay::tasks {

Json metric(double value, const std::string& unit) { return {{"value", value}, {"unit", unit}}; }

Json accuracy_metric(std::int64_t correct, std::int64_t items, double chance) {
  const auto n = static_cast<double>(items);
  const double share = static_cast<double>(correct) / n;
  const auto interval = stats::wilson_interval(correct, items);
  Json result = metric(share, "1");
  result["ci95"] = {interval.low, interval.high};
  result["stderr"] = items > 1 ? std::sqrt(share * (1 - share) / (n - 1)) : 0.0;
  result["n"] = items;
  result["chance"] = chance;
  return result;
}

void add_accuracy(Json& metrics, const std::string& name, std::int64_t correct, std::int64_t items,
                  double chance) {
  metrics[name] = accuracy_metric(correct, items, chance);
  metrics[name + "_stderr"] = metric(metrics[name].at("stderr").get<double>(), "1");
}

Json mean_metric(std::span<const double> samples, const std::string& unit) {
  Json result = metric(stats::mean(samples), unit);
  result["stderr"] = stats::standard_error(samples);
  return result;
}

ItemLog::ItemLog(std::size_t count, const TaskOptions& options)
    : answers_(count), done_(count), options_(options) {
  for (const Json& answer : options.resume) {
    const auto index = answer.value("i", count);
    if (index >= count || done_[index]) continue;
    // What proves the row is what runs now, so something must.
    if (resumed_ + 1 == count) break;
    done_[index] = true;
    answers_[index] = answer;
    ++resumed_;
  }
}

bool ItemLog::is_done(std::size_t begin, std::size_t end) const {
  for (std::size_t i = begin; i < end; ++i) {
    if (!done_[i]) return false;
  }
  return true;
}

void ItemLog::add(Json answer) {
  const auto index = answer.at("i").get<std::size_t>();
  if (done_.at(index)) return;
  if (answers_[index].is_null()) fresh_.push_back(answer);
  answers_[index] = std::move(answer);
}

void ItemLog::flush() {
  if (fresh_.empty() || !options_.items) return;
  options_.items(std::exchange(fresh_, Json::array()));
}

Json ItemLog::take() {
  Json all = Json::array();
  for (std::size_t i = 0; i < answers_.size(); ++i) {
    if (answers_[i].is_null()) fail(ErrorCode::internal, "item {} was not answered", i);
    all.push_back(std::move(answers_[i]));
  }
  return all;
}

void ItemLog::add_notes(Json& notes) const {
  if (resumed_ == 0) return;
  notes.push_back(fmt::format("{} of {} items were answered before an interruption", resumed_,
                              answers_.size()));
}

}  // namespace assay::tasks
