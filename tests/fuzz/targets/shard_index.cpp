#include "files/shard_index.h"

#include <stdexcept>

#include "fuzz/file_in_memory.h"
#include "fuzz/target.h"

namespace assay::fuzz {

static void run(std::string_view input) {
  const files::ShardIndex index = files::read_shard_index(file_in_memory(input));
  for (const files::ShardedName& name : index.names) {
    if (name.position >= input.size()) throw std::logic_error("a name stands beyond the file");
    if (name.file >= index.files.size()) throw std::logic_error("a name is in no file");
  }
  for (const std::string& file : index.files) {
    if (std::filesystem::path(file).filename() != file)
      throw std::logic_error("a file with a path");
  }
}

const Target kShardIndex = {"shard_index", run};

}  // namespace assay::fuzz
