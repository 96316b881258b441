#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <memory>

#include "base/io.h"
#include "cli/commands.h"
#include "cli/progress_line.h"
#include "engine/model.h"
#include "files/hub_cache.h"

namespace assay::cli {
namespace {

struct GenerateArguments {
  std::string model;
  std::string precision = "bf16";
  std::string device = "cpu";
  std::string prompt;
  std::string prompt_file;
  int threads = 0;
  std::int64_t max_tokens = 128;
  engine::SamplingOptions sampling;
  bool ignore_eos = false;
  bool ids = false;
  bool quiet = false;
};

engine::Model load(const GenerateArguments& arguments) {
  const auto recipes = precision::parse_recipe_argument(arguments.precision);
  if (recipes.size() != 1) fail(ErrorCode::usage, "generate takes one --precision");
  auto source = engine::ModelSource::open(files::find_model(arguments.model));
  if (!source->config().causal) {
    fail(ErrorCode::usage, "{} is an encoder; generate needs a decoder", source->name());
  }
  auto plan = engine::make_plan(*source, recipes.front(), {.device = arguments.device});
  ProgressLine line(arguments.quiet);
  const auto progress = [&line](const std::string& stage, double fraction) {
    line.update("load", stage, fraction);
  };
  return {std::move(source), std::move(plan), {.threads = arguments.threads, .progress = progress}};
}

/// Prints what a new token adds; bytes of an unfinished character wait for the next token.
class Printer {
 public:
  explicit Printer(const text::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void add(engine::TokenId id) {
    ids_.push_back(id);
    const std::string all = tokenizer_.decode(ids_);
    std::size_t end = all.size();
    while (end > printed_ && (all[end - 1] & 0xC0) == 0x80) --end;
    const bool unfinished = end > printed_ && (all[end - 1] & 0x80) != 0 && !complete(all, end - 1);
    end = unfinished ? end - 1 : all.size();
    if (end <= printed_) return;
    std::fwrite(all.data() + printed_, 1, end - printed_, stdout);
    std::fflush(stdout);
    printed_ = end;
  }

 private:
  static bool complete(const std::string& text, std::size_t lead) {
    const auto byte = static_cast<unsigned char>(text[lead]);
    const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
    return lead + length <= text.size();
  }

  const text::Tokenizer& tokenizer_;
  std::vector<engine::TokenId> ids_;
  std::size_t printed_ = 0;
};

int run(GenerateArguments arguments) {
  if (!arguments.prompt_file.empty()) arguments.prompt = base::read_text(arguments.prompt_file);
  if (arguments.prompt.empty()) fail(ErrorCode::usage, "generate needs --prompt or --prompt-file");
  engine::Model model = load(arguments);
  const auto& tokenizer = model.source().tokenizer();
  const auto prompt = tokenizer.encode(arguments.prompt, {.parse_special = true});
  arguments.sampling.stop_at_eos = !arguments.ignore_eos;
  Printer printer(tokenizer);
  const auto begin = std::chrono::steady_clock::now();
  const auto tokens = engine::generate(model, prompt, arguments.max_tokens, arguments.sampling,
                                       [&](engine::TokenId id) {
                                         if (!arguments.ids) printer.add(id);
                                         return true;
                                       });
  if (arguments.ids) {
    fmt::print("{}", Json(tokens).dump());
  }
  fmt::print("\n");
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  const std::string mismatch = precision::compare(model.plan(), model.ledger());
  if (!arguments.quiet) {
    fmt::print(stderr, "{} tokens in {:.2f} s, {} on {}; proved: {}\n", tokens.size(),
               elapsed.count(), model.plan().recipe, tensor::to_string(model.plan().device),
               mismatch.empty() ? "yes" : "no (" + mismatch + ")");
  }
  return mismatch.empty() ? 0 : exit_code(ErrorCode::internal);
}

}  // namespace

void add_generate(CLI::App& program, Outcome& outcome) {
  auto* command = program.add_subcommand("generate", "Continue a prompt, token by token");
  const auto a = std::make_shared<GenerateArguments>();
  command->add_option("-m,--model", a->model, "folder, file or org/name in the Hugging Face cache")
      ->required();
  command->add_option("--precision,--recipe", a->precision, "precision or recipe")
      ->capture_default_str();
  command->add_option("--device", a->device, "cpu")->capture_default_str();
  command->add_option("-p,--prompt", a->prompt, "text to continue");
  command->add_option("-f,--prompt-file", a->prompt_file, "file with the text to continue");
  command->add_option("-n,--max-tokens", a->max_tokens, "most new tokens")->capture_default_str();
  command->add_option("-t,--threads", a->threads, "0: all that this process may use");
  command->add_option("--temperature", a->sampling.temperature, "0: greedy")->capture_default_str();
  command->add_option("--top-k", a->sampling.top_k, "0: all");
  command->add_option("--top-p", a->sampling.top_p, "nucleus")->capture_default_str();
  command->add_option("--seed", a->sampling.seed, "of the sampling")->capture_default_str();
  command->add_flag("--ignore-eos", a->ignore_eos, "go on past the end token");
  command->add_flag("--ids", a->ids, "print token ids as JSON in place of text");
  command->add_flag("-q,--quiet", a->quiet, "no progress, no closing line");
  command->footer(
      "Example: assay generate -m model.gguf --precision nf4 -p 'The capital of France is'");
  command->callback([a, &outcome] { outcome.exit_code = run(*a); });
}

}  // namespace assay::cli
