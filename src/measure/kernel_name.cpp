#include "measure/kernel_name.h"

#include <cxxabi.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace assay::measure {
namespace {

using precision::Encoding;
using tensor::DType;
using Work = KernelName::Work;

std::string demangled(const std::string& mangled) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status), std::free);
  return status == 0 ? text.get() : mangled;
}

void erase_all(std::string& text, std::string_view part) {
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at)) {
    text.erase(at, part.size());
  }
}

/// Name and template arguments: what stands before the parameters.
std::string without_parameters(std::string text) {
  if (text.starts_with("void ")) text.erase(0, 5);
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '<') ++depth;
    if (text[i] == '>') --depth;
    if (text[i] == '(' && depth == 0) return text.substr(0, i);
  }
  return text;
}

/// "a<b, c<d, e>>" -> "b", "c<d, e>".
std::vector<std::string> arguments_of(std::string_view text) {
  std::vector<std::string> arguments;
  const std::size_t open = text.find('<');
  if (open == std::string_view::npos) return arguments;
  int depth = 0;
  std::string argument;
  for (const char c : text.substr(open + 1)) {
    if (c == '<') ++depth;
    if (c == '>' && depth-- == 0) break;
    if (c == ',' && depth == 0) {
      arguments.push_back(std::exchange(argument, {}));
    } else if (c != ' ' || !argument.empty()) {
      argument += c;
    }
  }
  arguments.push_back(argument);
  return arguments;
}

/// "DirectCodes<(Code)2, 8>", whose number is that of an encoding, or a type of one encoding.
std::optional<Encoding> encoding_of(std::string_view codes) {
  constexpr std::array<std::pair<std::string_view, Encoding>, 8> kTypes = {
      {{"F32Codes", Encoding::f32},
       {"F16Codes", Encoding::f16},
       {"Bf16Codes", Encoding::bf16},
       {"Int8Codes", Encoding::int8},
       {"Fp8Codes", Encoding::fp8_e4m3},
       {"Q4_0Codes", Encoding::q4_0},
       {"Q4_1Codes", Encoding::q4_1},
       {"Q8_0Codes", Encoding::q8_0}}};
  constexpr std::string_view kNumber = "(Code)";
  if (const std::size_t at = codes.find(kNumber); at != std::string_view::npos) {
    int number = -1;
    std::from_chars(codes.data() + at + kNumber.size(), codes.data() + codes.size(), number);
    if (number >= 0 && number < precision::kEncodingCount) return static_cast<Encoding>(number);
  }
  for (const auto& [type, encoding] : kTypes) {
    if (codes == type) return encoding;
  }
  return std::nullopt;
}

std::optional<DType> compute_of(std::string_view mma) {
  constexpr std::array<std::pair<std::string_view, DType>, 5> kTypes = {{{"MmaF16", DType::f16},
                                                                         {"MmaBf16", DType::bf16},
                                                                         {"MmaTf32", DType::tf32},
                                                                         {"MmaInt8", DType::i8},
                                                                         {"MmaFp8", DType::f8}}};
  for (const auto& [type, compute] : kTypes) {
    if (mma == type) return compute;
  }
  return std::nullopt;
}

/// A kernel of src/kernels/cuda/linear that multiplies or looks up; false for others of that
/// folder.
bool read_linear(KernelName& name, std::string_view function,
                 const std::vector<std::string>& arguments) {
  const bool on_tensor_cores = function == "few_rows" || function == "many_rows";
  const bool in_f32 = function == "few_rows_f32" || function == "many_rows_f32";
  if (!on_tensor_cores && !in_f32 && function != "rows") return false;
  const std::size_t codes = on_tensor_cores ? 1 : 0;
  if (arguments.size() <= codes) return false;
  const auto encoding = encoding_of(arguments[codes]);
  const auto compute = on_tensor_cores ? compute_of(arguments[0]) : DType::f32;
  if (!encoding || !compute) return false;
  name.encoding = *encoding;
  name.compute = *compute;
  name.work = function == "rows" ? Work::lookup : Work::product;
  return true;
}

/// Where "::sm90::" stands, or npos.
std::size_t path_position(std::string_view text) {
  for (const std::string_view path : {"::sm75::", "::sm80::", "::sm90::"}) {
    if (const std::size_t at = text.find(path); at != std::string_view::npos) return at + 2;
  }
  return std::string_view::npos;
}

}  // namespace

KernelName read_kernel_name(const std::string& mangled) {
  KernelName name;
  std::string text = demangled(mangled);
  const bool ours = text.find("assay::kernels::cuda::") != std::string::npos;
  const bool linear = text.find("assay::kernels::cuda::linear::") != std::string::npos;
  if (const std::size_t at = path_position(text); ours && at != std::string::npos) {
    name.path = text.substr(at, 4);
    erase_all(text, name.path + "::");
  }
  for (const std::string_view part :
       {"assay::kernels::cuda::linear::", "assay::kernels::cuda::", "(anonymous namespace)::"}) {
    erase_all(text, part);
  }
  name.text = without_parameters(text);
  if (!ours) return name;
  name.work = Work::other;
  const std::string function = name.text.substr(0, name.text.find('<'));
  if (!linear || read_linear(name, function, arguments_of(name.text))) return name;
  if (function == "quantize_rows") name.work = Work::quantize_int8;
  if (function == "quantize_rows_fp8") name.work = Work::quantize_fp8;
  return name;
}

}  // namespace assay::measure
