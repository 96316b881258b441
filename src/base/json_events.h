#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/json.h"

namespace assay::base {

/// Receives the parts of a JSON text in order, without a document being built. Callbacks may throw.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual void begin_object() = 0;
  /// `position` is the byte at which the key's opening quote stands.
  virtual void key(std::string&& name, std::size_t position) = 0;
  virtual void end_object() = 0;
  virtual void begin_array() = 0;
  virtual void end_array() = 0;
  /// null, a boolean, a number or a string.
  virtual void scalar(Json&& value) = 0;
};

/// Runs `events` over `text`. Memory is bounded: strings of at most 8 MiB, other tokens and gaps of
/// at most 1 MiB, nesting of at most 64. Errors are bad_data: "<source> at byte <n>: ...", the byte
/// counted from `offset`. Duplicate keys are left to the receiver.
void read_json_events(std::string_view text, const std::string& source, JsonEvents& events,
                      std::size_t offset = 0);

}  // namespace assay::base
