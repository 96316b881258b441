#include "base/io.h"
#include "text/json_details.h"
#include "text/json_parts.h"

namespace assay::text {
namespace {

std::size_t read_count(Fields& fields, const std::string& key) {
  const std::int64_t count = fields.integer(key, 0);
  if (count < 0) fail(ErrorCode::bad_data, "{}: {} is negative", fields.place(key), count);
  return static_cast<std::size_t>(count);
}

StripDecoder read_strip(Fields& fields) {
  StripDecoder step;
  step.character.clear();
  append_utf8(step.character, read_character(fields, "content", ""));
  step.start = read_count(fields, "start");
  step.stop = read_count(fields, "stop");
  return step;
}

MetaspaceDecoder read_metaspace_decoder(Fields& fields) {
  const MetaspaceStep step = read_metaspace(fields);
  MetaspaceDecoder out;
  append_utf8(out.replacement, step.replacement);
  out.prepended = step.prepend != MetaspaceStep::Prepend::never;
  return out;
}

void add_decoder(const Json& part, const std::string& where, int depth, Decoder& out) {
  check_depth(depth, where);
  Fields fields(part, where);
  const std::string type = fields.text("type");
  if (type == "Sequence") {
    const Json& list = fields.array("decoders");
    for (std::size_t i = 0; i < list.size(); ++i) {
      add_decoder(list[i], element(fields, "decoders", i), depth + 1, out);
    }
  } else if (type == "ByteLevel") {
    for (const char* key : {"trim_offsets", "add_prefix_space", "use_regex"}) fields.ignore(key);
    out.emplace_back(ByteLevelDecoder{});
  } else if (type == "WordPiece") {
    WordPieceDecoder decoder;
    decoder.prefix = fields.text("prefix", "##");
    decoder.cleanup = fields.boolean("cleanup", true);
    out.emplace_back(std::move(decoder));
  } else if (type == "Replace") {
    Replacement step = read_pattern(fields);
    step.content = fields.text("content");
    out.emplace_back(std::move(step));
  } else if (type == "ByteFallback") {
    out.emplace_back(ByteFallbackDecoder{});
  } else if (type == "Fuse") {
    out.emplace_back(FuseDecoder{});
  } else if (type == "Strip") {
    out.emplace_back(read_strip(fields));
  } else if (type == "Metaspace") {
    out.emplace_back(read_metaspace_decoder(fields));
  } else {
    refuse_type(fields, type,
                "ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Strip, WordPiece and Sequence "
                "of these");
  }
  fields.finish();
}

}  // namespace

Decoder read_decoder(const Json& part, const std::string& where) {
  Decoder out;
  if (part.is_null()) {
    out.emplace_back(SpaceDecoder{});
  } else {
    add_decoder(part, where, 0, out);
  }
  return out;
}

}  // namespace assay::text
