// A libnvidia-ml.so.1 that knows the version of a driver of 2021.

#include <cstdio>

extern "C" {

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlSystemGetDriverVersion(char* version, unsigned length) {
  std::snprintf(version, length, "470.82.01");
  return 0;
}
}
