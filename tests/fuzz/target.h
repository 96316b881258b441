#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace assay::fuzz {

/// One reader of untrusted bytes: reads `input` as a caller would, uses all that it accepts, and
/// throws Error where it refuses.
struct Target {
  std::string_view name;  ///< of its folder in tests/corpus and of its executable
  void (*run)(std::string_view input);
  ErrorCode refusal = ErrorCode::bad_data;  ///< the only code that an input may cause
};

extern const Target kSafetensors;
extern const Target kGguf;
extern const Target kGgufModel;
extern const Target kNpy;
extern const Target kShardIndex;
extern const Target kTokenizer;
extern const Target kTorch;
extern const Target kConfig;
extern const Target kStudy;
extern const Target kChat;
extern const Target kCheckpoint;

/// Runs the target; the message if the input is refused, none if it is accepted. Any other outcome
/// is a fault: std::logic_error for an Error of another code or a message that is no single line,
/// and whatever else the target throws.
[[nodiscard]] std::optional<std::string> outcome(const Target& target, std::string_view input);

}  // namespace assay::fuzz
