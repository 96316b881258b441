#pragma once

#include "text/chat/run.h"

// What a template can call besides its own macros. Nothing here reaches beyond the values given,
// but for the clock of the run.
namespace assay::text::chat {

[[nodiscard]] Value call_filter(Run& run, std::string_view name, const Value& value,
                                const Arguments& arguments);
[[nodiscard]] bool call_test(Run& run, std::string_view name, const Value& value,
                             const Arguments& arguments);
[[nodiscard]] bool is_filter(std::string_view name);

/// range, namespace, dict, raise_exception, strftime_now.
[[nodiscard]] bool is_global(std::string_view name);
[[nodiscard]] Value call_global(Run& run, std::string_view name, const Arguments& arguments);

enum class Method { none, known, forbidden };
/// Whether Python's type has a method of this name that a template may call; those that would
/// change the value are forbidden.
[[nodiscard]] Method method_of(const Value& value, std::string_view name);
[[nodiscard]] Value call_method(Run& run, const Value& self, std::string_view name,
                                const Arguments& arguments);
[[nodiscard]] Value call_text_method(Run& run, const std::string& self, std::string_view name,
                                     const Arguments& arguments);
[[nodiscard]] bool is_text_method(std::string_view name);

}  // namespace assay::text::chat
