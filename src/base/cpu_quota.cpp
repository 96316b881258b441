#include "base/cpu_quota.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace assay::base {
namespace {

namespace fs = std::filesystem;

/// A cgroup hierarchy that can hold a CPU quota: where it is mounted, and which group is its root.
struct Mount {
  bool version2 = false;
  std::string group_root;
  std::string mount_point;
};

bool has_item(std::string_view list, std::string_view item) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (list.substr(0, comma) == item) return true;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

/// See proc(5): id, parent, device, root, mount point, options, optional fields, "-", type, source,
/// super options.
std::vector<Mount> cgroup_mounts(const fs::path& root) {
  std::vector<Mount> mounts;
  std::ifstream file(root / "proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, group, point, word, type, source, options;
    fields >> id >> parent >> device >> group >> point;
    while (fields >> word && word != "-") {
    }
    fields >> type >> source >> options;
    const bool version2 = type == "cgroup2";
    if (version2 || (type == "cgroup" && has_item(options, "cpu"))) {
      mounts.push_back({version2, group, point});
    }
  }
  return mounts;
}

/// The group of this process in a hierarchy: lines "id:controllers:path", version 2 has none.
std::optional<std::string> own_group(const fs::path& root, bool version2) {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    if (first == std::string::npos) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto controllers = std::string_view(line).substr(first + 1, second - first - 1);
    if (version2 ? controllers.empty() : has_item(controllers, "cpu")) {
      return line.substr(second + 1);
    }
  }
  return std::nullopt;
}

double quota_of(const fs::path& group, bool version2) {
  double quota = 0;
  double period = 0;
  if (version2) {
    std::ifstream file(group / "cpu.max");  // "max 100000" has no number first
    if (!(file >> quota >> period)) return kNoCpuQuota;
  } else {
    std::ifstream quota_file(group / "cpu.cfs_quota_us");
    std::ifstream period_file(group / "cpu.cfs_period_us");
    if (!(quota_file >> quota) || !(period_file >> period)) return kNoCpuQuota;
  }
  return quota > 0 && period > 0 ? quota / period : kNoCpuQuota;
}

}  // namespace

double cpu_quota(const fs::path& root) {
  double smallest = kNoCpuQuota;
  for (const Mount& mount : cgroup_mounts(root)) {
    std::string group = own_group(root, mount.version2).value_or("/");
    // A container may see only a part of the hierarchy, mounted at its own root.
    if (mount.group_root != "/" && group.starts_with(mount.group_root)) {
      group.erase(0, mount.group_root.size());
    }
    const fs::path top = root / fs::path(mount.mount_point).relative_path();
    fs::path relative = fs::path(group).relative_path().lexically_normal();
    while (true) {
      smallest = std::min(smallest, quota_of(top / relative, mount.version2));
      if (relative.empty() || relative == ".") break;
      relative = relative.parent_path();
    }
  }
  return smallest;
}

}  // namespace assay::base
