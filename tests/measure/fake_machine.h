#pragma once

#include <stdlib.h>

#include <optional>
#include <string>

namespace assay::testing {

/// An environment variable for the life of this object.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = ::getenv(name)) old_ = old;
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() {
    if (old_) {
      ::setenv(name_, old_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

/// A machine with the GPUs that `settings` describe (fake_nvml.cpp).
class FakeGpus {
 public:
  explicit FakeGpus(const std::string& settings, const char* library = ASSAY_FAKE_NVML_LIBRARY)
      : library_("ASSAY_NVML_LIBRARY", library), settings_("ASSAY_FAKE_NVML", settings) {}

 private:
  Variable library_;
  Variable settings_;
};

}  // namespace assay::testing
