#include <fmt/format.h>

#include <iterator>
#include <memory>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "engine/source.h"

namespace assay::cli {
namespace {

struct TokenizeArguments {
  std::string model;
  std::string output = "jsonl";
  bool json = false;
  bool no_special = false;
  bool parse_special = false;
  bool whole = false;
};

/// A line that is a JSON string.
std::string text_of(const std::string& line, std::size_t number) {
  const std::string where = fmt::format("line {} of standard input", number);
  const Json value = base::parse_json(line, where);
  if (!value.is_string()) fail(ErrorCode::usage, "{}: a JSON string is expected", where);
  return value.get<std::string>();
}

int run(const TokenizeArguments& arguments) {
  const auto model = engine::find_model(arguments.model);
  if (engine::parse_synthetic(model)) {
    fail(ErrorCode::unsupported, "{}: a synthetic model has no tokenizer", model);
  }
  const auto tokenizer = text::load_tokenizer(files::locate_model(model));
  const text::EncodeOptions options{.add_special = !arguments.no_special,
                                    .parse_special = arguments.parse_special,
                                    .file_lengths = !arguments.whole};
  std::size_t number = 1;
  for (std::string line; read_line(line);) {
    const auto ids = tokenizer->encode(arguments.json ? text_of(line, number) : line, options);
    ++number;
    if (arguments.output == "ids") {
      fmt::print("{}\n", fmt::join(ids, " "));
      continue;
    }
    Json tokens = Json::array();
    for (const auto id : ids) tokens.push_back(tokenizer->token(id));
    const Json row = {{"ids", ids}, {"tokens", tokens}};
    fmt::print("{}\n", row.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return 0;
}

}  // namespace

void add_tokenize(CLI::App& program, Outcome& outcome) {
  auto* command = program.add_subcommand(
      "tokenize", "Turn each line of standard input into a line of token ids");
  const auto arguments = std::make_shared<TokenizeArguments>();
  command
      ->add_option("-m,--model", arguments->model,
                   "folder, file or org/name in the Hugging Face cache")
      ->required();
  command->add_option("-o,--output", arguments->output, "jsonl, or ids alone")
      ->check(CLI::IsMember({"jsonl", "ids"}));
  command->add_flag("--json", arguments->json,
                    "each line is a JSON string, so that a text can have several lines");
  command->add_flag("--no-special", arguments->no_special, "no [CLS], [SEP], <s> and the like");
  command->add_flag("--parse-special", arguments->parse_special,
                    "special tokens written in the text become their ids");
  command->add_flag("--whole", arguments->whole, "neither truncate nor pad as tokenizer.json says");
  command->footer("Example: echo 'Hello there' | assay tokenize -m model.gguf");
  command->callback([arguments, &outcome] { outcome.exit_code = run(*arguments); });
}

}  // namespace assay::cli
