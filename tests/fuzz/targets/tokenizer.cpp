#include "fuzz/file_in_memory.h"
#include "fuzz/target.h"
#include "fuzz/use_tokenizer.h"

namespace assay::fuzz {

static void run(std::string_view input) {
  use_tokenizer(*text::load_tokenizer_json(file_in_memory(input)));
}

const Target kTokenizer = {"tokenizer", run};

}  // namespace assay::fuzz
