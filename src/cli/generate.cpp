#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <memory>

#include "base/io.h"
#include "cli/adhoc.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/progress_line.h"
#include "engine/model.h"
#include "study/calibration.h"
#include "text/chat/chat_template.h"

namespace assay::cli {
namespace {

struct GenerateArguments {
  std::string model;
  std::string precision = "bf16";
  std::string device = "cpu";
  std::string calibration;
  std::string prompt;
  std::string prompt_file;
  bool chat = false;
  std::string system;
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
  const auto recipe = with_calibration(recipes.front(), arguments.calibration);
  const std::string path = engine::find_model(arguments.model);
  auto source = engine::ModelSource::open(path);
  if (!source->config().causal) {
    fail(ErrorCode::usage, "{} is an encoder; generate needs a decoder", source->name());
  }
  static_cast<void>(source->tokenizer());  // before minutes of loading, if it is missing
  ProgressLine line(arguments.quiet);
  const auto progress = [&line](const std::string& stage, double fraction) {
    line.update("load", stage, fraction);
  };
  const study::Cell cell{.model = path, .device = arguments.device, .threads = arguments.threads};
  auto plan = study::calibrated_plan(*source, recipe, cell, progress);
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

/// What one run has generated, for its closing line.
struct Totals {
  std::size_t tokens = 0;
  std::chrono::duration<double> elapsed{0};
};

/// Generates after `prompt` and prints what comes, as it comes.
std::vector<engine::TokenId> answer(engine::Model& model, const GenerateArguments& arguments,
                                    std::span<const engine::TokenId> prompt, Totals& totals) {
  Printer printer(model.source().tokenizer());
  const auto begin = std::chrono::steady_clock::now();
  auto tokens = engine::generate(model, prompt, arguments.max_tokens, arguments.sampling,
                                 [&](engine::TokenId id) {
                                   if (!arguments.ids) printer.add(id);
                                   return true;
                                 });
  totals.elapsed += std::chrono::steady_clock::now() - begin;
  totals.tokens += tokens.size();
  if (arguments.ids) fmt::print("{}", Json(tokens).dump());
  fmt::print("\n");
  return tokens;
}

/// Turns of user and model in the model's own template; the user's from --prompt, or one from each
/// line of standard input.
void converse(engine::Model& model, const GenerateArguments& arguments, Totals& totals) {
  const auto& tokenizer = model.source().tokenizer();
  const auto chat_template = text::load_chat_template(model.source().files());
  std::vector<text::chat::Value> messages;
  if (!arguments.system.empty()) {
    messages.push_back(text::chat::message("system", arguments.system));
  }
  const auto turn = [&](const std::string& said) {
    messages.push_back(text::chat::message("user", said));
    const std::string written =
        chat_template.render(text::chat::list_of(messages), {.add_generation_prompt = true});
    // The template has written the special tokens itself.
    const auto prompt = tokenizer.encode(written, {.add_special = false, .parse_special = true});
    const auto tokens = answer(model, arguments, prompt, totals);
    messages.push_back(text::chat::message("assistant", tokenizer.decode(tokens)));
  };
  if (!arguments.prompt.empty()) return turn(arguments.prompt);
  for (std::string line; read_line(line);) {
    std::fflush(stdout);
    if (!line.empty()) turn(line);
  }
}

void check(const GenerateArguments& arguments) {
  if (!arguments.chat && arguments.prompt.empty()) {
    fail(ErrorCode::usage, "generate needs --prompt or --prompt-file, or --chat");
  }
  if (!arguments.chat && !arguments.system.empty()) {
    fail(ErrorCode::usage, "--system is the system's turn of a chat; add --chat");
  }
}

int run(GenerateArguments arguments) {
  if (!arguments.prompt_file.empty()) arguments.prompt = base::read_text(arguments.prompt_file);
  check(arguments);
  engine::Model model = load(arguments);
  arguments.sampling.stop_at_eos = !arguments.ignore_eos;
  Totals totals;
  if (arguments.chat) {
    converse(model, arguments, totals);
  } else {
    const auto& tokenizer = model.source().tokenizer();
    answer(model, arguments, tokenizer.encode(arguments.prompt, {.parse_special = true}), totals);
  }
  const std::string mismatch = precision::compare(model.plan(), model.ledger());
  if (!arguments.quiet) {
    fmt::print(stderr, "{} tokens in {:.2f} s, {} on {}; proved: {}\n", totals.tokens,
               totals.elapsed.count(), model.plan().recipe, model.plan().device_names(),
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
  command->add_option("--device", a->device, "cpu, cuda[:N] or auto")->capture_default_str();
  command->add_option("--calibration", a->calibration,
                      "table or data, for a recipe that needs calibration and names none");
  command->add_option("-p,--prompt", a->prompt, "text to continue");
  command->add_option("-f,--prompt-file", a->prompt_file, "file with the text to continue");
  command->add_flag("--chat", a->chat,
                    "the prompt is a user's turn in the model's chat template; without a prompt, "
                    "each line of standard input is one, and the answers are part of the talk");
  command->add_option("--system", a->system, "the system's turn before the first, with --chat");
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
      "Example: assay generate -m model.gguf --precision nf4 -p 'The capital of France is'\n"
      "Example: assay generate -m model.gguf --chat --system 'Be brief.' -p 'Who was Ada "
      "Lovelace?'");
  command->callback([a, &outcome] { outcome.exit_code = run(*a); });
}

}  // namespace assay::cli
