#include "text/newer_classes.h"

namespace assay::text {
namespace {

struct NewerClass {
  std::string_view category;
  std::string_view members;
};

constexpr NewerClass kNewerClasses[] = {
#include "text/newer_classes.inc"
};

}  // namespace

std::string newer_members(std::string_view category) {
  std::string members;
  if (category.empty()) return members;
  for (const NewerClass& newer : kNewerClasses) {
    if (newer.category.starts_with(category)) members += newer.members;
  }
  return members;
}

}  // namespace assay::text
