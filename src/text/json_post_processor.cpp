#include <fmt/format.h>

#include "base/error.h"
#include "base/io.h"
#include "text/json_details.h"
#include "text/json_parts.h"

namespace assay::text {
namespace {

using SpecialIds = std::map<std::string, std::vector<TokenId>, std::less<>>;

SpecialIds read_special_ids(const Json& part, std::size_t size, const std::string& where) {
  SpecialIds out;
  if (!part.is_object()) fail(ErrorCode::bad_data, "{}: an object is expected", where);
  for (const auto& [name, value] : part.items()) {
    Fields fields(value, fmt::format("{}.{}", where, base::printable(name)));
    const Json& list = fields.array("ids");
    auto& ids = out[name];
    for (const Json& item : list) {
      const std::int64_t id = as_integer(item, fields.place("ids"));
      if (id < 0 || static_cast<std::uint64_t>(id) >= size) {
        fail(ErrorCode::bad_data, "{}: id {} is not in the vocabulary of {}", fields.place("ids"),
             id, size);
      }
      ids.push_back(static_cast<TokenId>(id));
    }
    fields.ignore("id");
    fields.ignore("tokens");
    fields.finish();
  }
  return out;
}

/// One text is all this program ever frames, so `pair` is read by nobody.
Frame read_template(Fields& fields, std::size_t size) {
  const SpecialIds special =
      read_special_ids(fields.at("special_tokens"), size, fields.place("special_tokens"));
  fields.ignore("pair");
  Frame frame;
  bool text_seen = false;
  const Json& list = fields.array("single");
  for (std::size_t i = 0; i < list.size(); ++i) {
    Fields item(list[i], element(fields, "single", i));
    if (const Json* sequence = item.find("Sequence")) {
      Fields inner(*sequence, item.place("Sequence"));
      if (inner.text("id") != "A" || text_seen) {
        fail(ErrorCode::bad_data, "{}: sequence A is expected exactly once", item.where());
      }
      text_seen = true;
    } else {
      Fields inner(item.at("SpecialToken"), item.place("SpecialToken"));
      const std::string name = inner.text("id");
      const auto found = special.find(name);
      if (found == special.end()) {
        fail(ErrorCode::bad_data, "{}: '{}' is not in special_tokens", inner.place("id"),
             base::printable(name));
      }
      auto& side = text_seen ? frame.suffix : frame.prefix;
      side.insert(side.end(), found->second.begin(), found->second.end());
    }
    item.finish();
  }
  if (!text_seen) fail(ErrorCode::bad_data, "{} has no sequence A", fields.place("single"));
  return frame;
}

TokenId read_pair_id(Fields& fields, const std::string& key, std::size_t size) {
  const Json& pair = fields.array(key);
  if (pair.size() != 2) fail(ErrorCode::bad_data, "{}: not [token, id]", fields.place(key));
  const std::int64_t id = as_integer(pair[1], fields.place(key));
  if (id < 0 || static_cast<std::uint64_t>(id) >= size) {
    fail(ErrorCode::bad_data, "{}: id {} is not in the vocabulary of {}", fields.place(key), id,
         size);
  }
  return static_cast<TokenId>(id);
}

void add_post_processor(const Json& part, std::size_t size, const std::string& where, int depth,
                        Frame& out) {
  check_depth(depth, where);
  Fields fields(part, where);
  const std::string type = fields.text("type");
  Frame inner;
  if (type == "Sequence") {
    const Json& list = fields.array("processors");
    for (std::size_t i = 0; i < list.size(); ++i) {
      add_post_processor(list[i], size, element(fields, "processors", i), depth + 1, out);
    }
  } else if (type == "TemplateProcessing") {
    inner = read_template(fields, size);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    inner.prefix.push_back(read_pair_id(fields, "cls", size));
    inner.suffix.push_back(read_pair_id(fields, "sep", size));
    for (const char* key : {"trim_offsets", "add_prefix_space"}) fields.ignore(key);
  } else if (type == "ByteLevel") {  // offsets only
    for (const char* key : {"trim_offsets", "add_prefix_space", "use_regex"}) fields.ignore(key);
  } else {
    refuse_type(fields, type,
                "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel and Sequence of "
                "these");
  }
  fields.finish();
  out.prefix.insert(out.prefix.begin(), inner.prefix.begin(), inner.prefix.end());
  out.suffix.insert(out.suffix.end(), inner.suffix.begin(), inner.suffix.end());
}

}  // namespace

Frame read_post_processor(const Json& part, std::size_t size, const std::string& where) {
  Frame out;
  if (!part.is_null()) add_post_processor(part, size, where, 0, out);
  return out;
}

}  // namespace assay::text
