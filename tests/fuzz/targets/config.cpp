#include "models/config.h"

#include "fuzz/target.h"

namespace assay::fuzz {

static void run(std::string_view input) {
  const Json json = base::parse_json(input, "config.json");
  static_cast<void>(models::config_from_json(json, "config.json"));
}

const Target kConfig = {"config", run};

}  // namespace assay::fuzz
