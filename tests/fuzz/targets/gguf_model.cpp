// What a GGUF file says about its model: the config, the weights' names and shapes, the tokenizer.
#include "files/file_bytes.h"
#include "files/gguf.h"
#include "fuzz/target.h"
#include "fuzz/use_tokenizer.h"
#include "models/config.h"

namespace assay::fuzz {

static void run(std::string_view input) {
  const files::TensorFile file = files::read_gguf(testing::raw_file(input, "file"));
  std::optional<Error> refused;
  // The tokenizer is read also where the model is refused, and the other way round.
  try {
    static_cast<void>(models::map_weights(models::config_from_gguf(file), file));
  } catch (const Error& error) {
    refused = error;
  }
  use_tokenizer(*text::load_gguf_tokenizer(file));
  if (refused) throw Error(*refused);
}

const Target kGgufModel = {"gguf_model", run};

}  // namespace assay::fuzz
