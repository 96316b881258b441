#pragma once

#include <string>
#include <utility>
#include <vector>

#include "files/file_bytes.h"

namespace assay::testing {

/// A zip archive of these stored records. Marks: "<name>.local", "<name>.data", "<name>.central"
/// and "end".
inline FileBytes zip_of(const std::vector<std::pair<std::string, std::string>>& records) {
  using u16 = std::uint16_t;
  using u32 = std::uint32_t;
  FileBytes f;
  for (const auto& [name, content] : records) {
    f.mark(name + ".local").number(u32{0x04034b50}).number(u16{20});
    f.number(u16{0});  // flags; then method, time, date, crc, sizes
    f.number(u16{0}).number(u16{0}).number(u16{0}).number(u32{0});
    f.number(static_cast<u32>(content.size())).number(static_cast<u32>(content.size()));
    f.number(static_cast<u16>(name.size())).number(u16{0}).raw(name);
    f.mark(name + ".data").raw(content);
  }
  f.mark("directory");
  for (const auto& [name, content] : records) {
    f.mark(name + ".central").number(u32{0x02014b50}).number(u16{20}).number(u16{20});
    f.number(u16{0}).number(u16{0}).number(u16{0}).number(u16{0}).number(u32{0});
    f.number(static_cast<u32>(content.size())).number(static_cast<u32>(content.size()));
    f.number(static_cast<u16>(name.size())).number(u16{0}).number(u16{0}).number(u16{0});
    f.number(u16{0}).number(u32{0}).number(static_cast<u32>(f.at(name + ".local"))).raw(name);
  }
  const auto bytes = static_cast<u32>(f.data().size() - f.at("directory"));
  f.mark("end").number(u32{0x06054b50}).number(u16{0}).number(u16{0});
  f.number(static_cast<u16>(records.size())).number(static_cast<u16>(records.size()));
  return f.number(bytes).number(static_cast<u32>(f.at("directory"))).number(u16{0});
}

}  // namespace assay::testing
