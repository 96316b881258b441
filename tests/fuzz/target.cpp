#include "fuzz/target.h"

#include <stdexcept>

#include "base/utf8.h"

namespace assay::fuzz {

namespace {

constexpr std::size_t kLongestMessage = 8192;

void check_message(const Target& target, const Error& error) {
  const std::string_view message = error.what();
  const bool one_line = message.find_first_of("\n\r\0", 0, 3) == std::string_view::npos;
  if (message.empty() || !one_line || message.size() > kLongestMessage || !base::is_utf8(message)) {
    throw std::logic_error("not one line of text: " + std::string(message));
  }
  if (error.code() != target.refusal) {
    throw std::logic_error("refused with another code: " + std::string(message));
  }
}

}  // namespace

std::optional<std::string> outcome(const Target& target, std::string_view input) {
  try {
    target.run(input);
  } catch (const Error& error) {
    check_message(target, error);
    return error.what();
  }
  return std::nullopt;
}

}  // namespace assay::fuzz
