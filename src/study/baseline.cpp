#include "study/baseline.h"

#include "study/calibration.h"

namespace assay::study {
namespace {

constexpr int kDefaultSequences = 16;
constexpr int kDefaultLength = 64;

tasks::FidelityInputs choose_inputs(engine::Model& model, const Json& task) {
  const int sequences = task.value("sequences", kDefaultSequences);
  const int length = task.value("length", kDefaultLength);
  if (task.contains("file")) {
    return tasks::fidelity_inputs_from_text(model.source(), task.at("file").get<std::string>(),
                                            sequences, length);
  }
  return tasks::default_fidelity_inputs(model, sequences, length,
                                        task.value("seed", std::uint64_t{1}));
}

void write_json(int fd, const Json& record) {
  const std::string text = record.dump();
  write_frame(fd, text.data(), text.size());
}

}  // namespace

BaselineProcess::BaselineProcess(const Cell& cell, const Json& task) {
  const Json spec = {
      {"model", cell.model}, {"device", cell.device}, {"threads", cell.threads}, {"task", task}};
  child_ = std::make_unique<Child>(std::vector<std::string>{"baseline"}, spec.dump());
  if (!read_frame(child_->output(), frame_)) {
    fail(ErrorCode::internal, "the baseline's process ended before it sent its inputs");
  }
  const std::string_view text(reinterpret_cast<const char*>(frame_.data()), frame_.size());
  const Json header = base::parse_json(text, "baseline");
  if (header.contains("error")) {
    fail(ErrorCode::internal, "the baseline failed: {}", header["error"].get<std::string>());
  }
  inputs_.origin = header.at("origin").get<std::string>();
  inputs_.sequences = header.at("sequences").get<std::vector<std::vector<engine::TokenId>>>();
}

std::span<const float> BaselineProcess::next() {
  if (!read_frame(child_->output(), frame_)) {
    fail(ErrorCode::internal, "the baseline's process ended before its last output");
  }
  return {reinterpret_cast<const float*>(frame_.data()), frame_.size() / sizeof(float)};
}

void BaselineProcess::check_proved() {
  if (!read_frame(child_->output(), frame_)) {
    fail(ErrorCode::internal, "the baseline's process ended before it said what it ran");
  }
  const std::string_view text(reinterpret_cast<const char*>(frame_.data()), frame_.size());
  const auto difference = base::parse_json(text, "baseline").at("difference").get<std::string>();
  if (!difference.empty()) {
    fail(ErrorCode::internal, "the baseline did not run what was planned: {}", difference);
  }
}

void run_baseline(const Json& spec, int fd) {
  try {
    const Json& task = spec.at("task");
    const Json& chosen = task.at("baseline");
    const auto name = chosen.at("name").get<std::string>();
    const Cell cell{.model = spec.at("model").get<std::string>(),
                    .device = spec.at("device").get<std::string>(),
                    .threads = spec.at("threads").get<int>()};
    const auto source = engine::ModelSource::open(cell.model);
    const auto recipe = precision::parse_recipe(name, chosen.at("spec"), name);
    engine::Model model(source, calibrated_plan(*source, recipe, cell, {}),
                        {.threads = cell.threads, .deterministic = true});
    const tasks::FidelityInputs inputs = choose_inputs(model, task);
    write_json(fd, {{"sequences", inputs.sequences}, {"origin", inputs.origin}});
    model.ledger().clear();
    tasks::stream_outputs(model, inputs, [fd](std::span<const float> output) {
      write_frame(fd, output.data(), output.size_bytes());
    });
    write_json(fd, {{"difference", precision::compare(model.plan(), model.ledger())}});
  } catch (const std::exception& error) {
    write_json(fd, {{"error", error.what()}});
  }
}

}  // namespace assay::study
