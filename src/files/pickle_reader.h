#pragma once

#include "files/pickle_value.h"
#include "files/tensor_file_builder.h"

namespace assay::files {

/// Runs a pickle as torch.save writes it (protocol 2), by an allow-list: nothing is imported and
/// nothing is called. The globals are torch._utils._rebuild_tensor_v2 and _rebuild_parameter,
/// torch.*Storage and collections.OrderedDict; any other global, any other opcode and any other use
/// of these is bad_data that names it with its position. Every value is charged to the budget
/// before it is made, so that memory is bounded by the file's bytes.
class PickleReader {
 public:
  /// `begin` and `end`: where the pickle stands in the file. `field`: its name in messages.
  PickleReader(const RawFile& file, std::uint64_t begin, std::uint64_t end, std::string field,
               TensorFileBuilder& builder);

  /// Runs it to its STOP opcode; the root's number.
  [[nodiscard]] PickleId run();
  [[nodiscard]] const PickleValue& at(PickleId id) const { return values_[id]; }

 private:
  using Kind = PickleValue::Kind;

  template <typename... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    fail_field(file_.path, field_, opcode_at_, format, std::forward<Args>(args)...);
  }

  // What the pickle's bytes say, front to back.
  template <typename T>
  T number();
  std::string_view bytes(std::uint64_t length);
  std::string_view line();
  std::int64_t long_integer();
  double big_endian_real();

  // The stack.
  PickleValue& push(Kind kind);
  PickleId pop();
  PickleId pop(Kind kind);
  std::vector<PickleId> pop_to_mark();
  PickleValue& top(Kind kind);
  void append(PickleValue& container, const std::vector<PickleId>& items);
  void push_tuple(std::size_t count);

  // Opcodes.
  void step(std::uint8_t opcode);
  bool step_constant(std::uint8_t opcode);
  bool step_container(std::uint8_t opcode);
  bool step_memo(std::uint8_t opcode);
  void put(std::uint64_t slot);
  void get(std::uint64_t slot);
  void push_global();
  void push_storage();
  void reduce();
  void rebuild_tensor(const std::vector<PickleId>& arguments);
  void rebuild_parameter(const std::vector<PickleId>& arguments);
  void build();

  const RawFile& file_;
  std::uint64_t position_;
  std::uint64_t end_;
  std::string field_;
  TensorFileBuilder& builder_;
  std::uint64_t opcode_at_;
  std::vector<PickleValue> values_;
  std::vector<PickleId> stack_;
  std::vector<PickleId> memo_;
};

}  // namespace assay::files
