#include <fmt/core.h>

#include <filesystem>
#include <memory>

#include "cli/adhoc.h"

namespace assay::cli {
namespace {

struct BenchArguments {
  AdhocArguments common;
  std::string prompt = "512";
  std::string generate = "128";
  std::string depth = "0";
  std::string batch = "1";
  std::string sequence = "128";
  std::string data;
  int repetitions = -1;
  int iterations = -1;
  int warmup = -1;
  double min_seconds = -1;
  std::uint64_t seed = 1;
  bool noise_floor = false;
  int interleave = 0;
  bool deterministic = false;
};

/// Only what was asked for: the rest keeps the workload's own defaults.
Json workload_of(const BenchArguments& a) {
  Json workload = {
      {"prompt", parse_counts(a.prompt, "-p")},     {"generate", parse_counts(a.generate, "-n")},
      {"depth", parse_counts(a.depth, "-d")},       {"batch", parse_counts(a.batch, "-b")},
      {"sequence", parse_counts(a.sequence, "-s")}, {"seed", a.seed}};
  if (a.repetitions >= 0) workload["repetitions"] = a.repetitions;
  if (a.iterations >= 0) workload["repetitions"] = a.iterations;
  if (a.warmup >= 0) workload["warmup"] = a.warmup;
  if (a.min_seconds >= 0) workload["min_seconds"] = a.min_seconds;
  if (a.noise_floor) workload["noise_floor"] = true;
  if (a.interleave > 1) workload["interleave"] = a.interleave;
  if (a.deterministic) workload["deterministic"] = true;
  if (!a.data.empty()) workload["data"] = std::filesystem::absolute(a.data).string();
  return workload;
}

int run(const BenchArguments& arguments) {
  study::Study study = adhoc_study("bench", arguments.common);
  const Json workload = workload_of(arguments);
  for (auto& cell : study.cells) cell.workload = workload;
  return run_adhoc(study, arguments.common);
}

}  // namespace

void add_bench(CLI::App& program, Outcome& outcome) {
  auto* command = program.add_subcommand("bench", "Measure speed and memory at each precision");
  const auto a = std::make_shared<BenchArguments>();
  add_adhoc_options(*command, a->common);
  command->add_option("-p,--n-prompt", a->prompt, "decoders: prompt tokens")->capture_default_str();
  command->add_option("-n,--n-gen", a->generate, "decoders: generated tokens")
      ->capture_default_str();
  command->add_option("-d,--n-depth", a->depth, "decoders: tokens already in the cache")
      ->capture_default_str();
  command->add_option("-b,--batch-size", a->batch, "sequences at a time")->capture_default_str();
  command->add_option("-s,--sequence", a->sequence, "encoders: tokens of a sequence")
      ->capture_default_str();
  command->add_option("-r,--repetitions", a->repetitions, "timed iterations (at least)")
      ->check(CLI::PositiveNumber);
  command->add_option("--iterations", a->iterations, "same as -r")->check(CLI::PositiveNumber);
  command->add_option("--warmup", a->warmup, "iterations before the timed ones (at least)");
  command->add_option("--min-seconds", a->min_seconds, "time at least this long");
  command->add_option("--seed", a->seed, "of the random tokens")->capture_default_str();
  command->add_option(
      "--data", a->data,
      "real samples in place of random tokens: text, a table or pre-tokenized; file or folder");
  command->add_flag("--deterministic", a->deterministic,
                    "CUDA: kernels whose results are the same bits every time, as scoring uses");
  command->add_flag("--noise-floor", a->noise_floor,
                    "measure each row twice and show the difference that means nothing");
  command
      ->add_flag("--interleave{3}", a->interleave,
                 "cells take turns in so many rounds (3), so that drift hits all alike")
      ->check(CLI::Range(1, 1000));
  command->footer("Example: assay bench -m model.gguf --precision bf16,int8,nf4 -p 512 -n 128");
  command->callback([a, &outcome] { outcome.exit_code = run(*a); });
}

}  // namespace assay::cli
