#include "base/error.h"

namespace assay {

int exit_code(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::usage:
      return 2;
    case ErrorCode::bad_data:
      return 65;
    case ErrorCode::device_missing:
    case ErrorCode::unsupported:
      return 69;
    case ErrorCode::io:
      return 74;
    case ErrorCode::interrupted:
      return 130;
    default:
      return 1;
  }
}

std::string_view cell_status(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::unsupported:
    case ErrorCode::device_missing:
      return "unsupported";
    case ErrorCode::out_of_memory:
      return "oom";
    case ErrorCode::interrupted:
      return "interrupted";
    default:
      return "failed";
  }
}

}  // namespace assay
