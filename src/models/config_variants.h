#pragma once

#include "models/config_reader.h"
#include "models/family.h"

namespace assay::models {

/// The windows of the blocks, after their number, for families that have any. Errors name the key.
void read_windows(const ConfigReader& reader, const Family& family, ModelConfig& config);
/// All blocks of a periodic family see `window` positions but one of every `period`.
void set_periodic_windows(const Family& family, std::int64_t window, std::int64_t period,
                          ModelConfig& config);

/// Refuses the key unless it is absent, null or has the accepted value.
void refuse_other_values(const ConfigReader& reader, const RefusedKey& refused);
/// Refuses keys of other families that would change the arithmetic and that this one does not read.
void refuse_foreign_keys(const ConfigReader& reader, const Family& family);

}  // namespace assay::models
