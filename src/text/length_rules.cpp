#include "text/length_rules.h"

#include "base/error.h"

namespace assay::text {

void truncate(std::vector<TokenId>& ids, std::size_t most, Side side) {
  if (ids.size() <= most) return;
  if (side == Side::left) {
    ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(most));
  } else {
    ids.resize(most);
  }
}

void truncate(std::vector<TokenId>& ids, const LengthRules::Truncation& rule, std::size_t special) {
  if (ids.size() + special <= rule.max_length) return;
  if (rule.only_second) {
    fail(ErrorCode::bad_data, "{}.strategy: OnlySecond cuts no single text", rule.where);
  }
  if (rule.max_length < special) {
    fail(ErrorCode::bad_data, "{}.max_length: {} leaves no room for {} special tokens", rule.where,
         rule.max_length, special);
  }
  const std::size_t room = rule.max_length - special;
  if (room > 0 && rule.stride >= room) {
    fail(ErrorCode::bad_data, "{}.stride: {} is not below the {} ids of a text", rule.where,
         rule.stride, room);
  }
  truncate(ids, room, rule.side);
}

void add_padding(std::vector<TokenId>& ids, const LengthRules::Padding& padding) {
  std::size_t length = padding.fixed == 0 ? ids.size() : padding.fixed;
  length = (length + padding.multiple - 1) / padding.multiple * padding.multiple;
  if (ids.size() >= length) return;
  const auto at = padding.side == Side::left ? ids.begin() : ids.end();
  ids.insert(at, length - ids.size(), padding.id);
}

}  // namespace assay::text
