#include "files/pickle_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/io.h"
#include "base/utf8.h"

namespace assay::files {

namespace {

// Opcodes of protocol 2 that torch.save writes, as in Python's pickletools.
enum Opcode : std::uint8_t {
  kMark = '(',
  kStop = '.',
  kNone = 'N',
  kTrue = 0x88,
  kFalse = 0x89,
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kLong1 = 0x8a,
  kBinFloat = 'G',
  kBinUnicode = 'X',
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kGlobal = 'c',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBuild = 'b',
  kProto = 0x80
};

constexpr std::uint8_t kProtocol = 2;
constexpr std::size_t kMaxTorchDimensions = 64;
constexpr PickleId kNothing = ~PickleId{0};
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";
constexpr std::string_view kOrderedDict = "collections.OrderedDict";

}  // namespace

PickleReader::PickleReader(const RawFile& file, std::uint64_t begin, std::uint64_t end,
                           std::string field, TensorFileBuilder& builder)
    : file_(file),
      position_(begin),
      end_(end),
      field_(std::move(field)),
      builder_(builder),
      opcode_at_(begin) {}

PickleId PickleReader::run() {
  if (number<std::uint8_t>() != kProto) fail_here("does not begin with the PROTO opcode");
  const auto protocol = number<std::uint8_t>();
  if (protocol != kProtocol) {
    fail_here("pickle protocol {} is not supported, only {}, which torch.save writes", protocol,
              kProtocol);
  }
  while (true) {
    opcode_at_ = position_;
    const auto opcode = number<std::uint8_t>();
    if (opcode == kStop) break;
    step(opcode);
  }
  const PickleId root = pop();
  if (!stack_.empty()) fail_here("STOP leaves {} values on the stack", stack_.size());
  if (position_ != end_) fail_here("{} bytes follow the STOP opcode", end_ - position_);
  return root;
}

template <typename T>
T PickleReader::number() {
  T value;
  std::memcpy(&value, bytes(sizeof value).data(), sizeof value);
  return value;
}

std::string_view PickleReader::bytes(std::uint64_t length) {
  if (length > end_ - position_) {
    fail_here("{} bytes are needed, but the pickle has only {} more", length, end_ - position_);
  }
  const auto* data = reinterpret_cast<const char*>(file_.bytes.data()) + position_;
  position_ += length;
  return {data, length};
}

std::string_view PickleReader::line() {
  const std::string_view rest(reinterpret_cast<const char*>(file_.bytes.data()) + position_,
                              end_ - position_);
  const std::size_t length = rest.find('\n');
  if (length == std::string_view::npos) fail_here("a class name does not end");
  position_ += length + 1;
  return rest.substr(0, length);
}

std::int64_t PickleReader::long_integer() {
  const auto length = number<std::uint8_t>();
  const std::string_view digits = bytes(length);
  if (length > sizeof(std::int64_t)) fail_here("LONG1 of {} bytes overflows 64 bits", length);
  if (length == 0) return 0;
  const bool negative = (static_cast<std::uint8_t>(digits.back()) & 0x80U) != 0;
  std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
  std::memcpy(&value, digits.data(), length);
  return static_cast<std::int64_t>(value);
}

double PickleReader::big_endian_real() {
  return std::bit_cast<double>(__builtin_bswap64(number<std::uint64_t>()));
}

PickleValue& PickleReader::push(Kind kind) {
  builder_.charge(1, sizeof(PickleValue) + sizeof(PickleId), field_, opcode_at_);
  stack_.push_back(static_cast<PickleId>(values_.size()));
  PickleValue& value = values_.emplace_back();
  value.kind = kind;
  value.position = opcode_at_;
  return value;
}

PickleId PickleReader::pop() {
  if (stack_.empty()) fail_here("the stack is empty");
  const PickleId id = stack_.back();
  stack_.pop_back();
  if (values_[id].kind == Kind::mark) fail_here("a mark stands where a value must be");
  return id;
}

PickleId PickleReader::pop(Kind kind) {
  const PickleId id = pop();
  if (values_[id].kind != kind) {
    fail_here("{} stands where {} must be", name_of(values_[id].kind), name_of(kind));
  }
  return id;
}

std::vector<PickleId> PickleReader::pop_to_mark() {
  const auto mark = std::find_if(stack_.rbegin(), stack_.rend(),
                                 [&](PickleId id) { return values_[id].kind == Kind::mark; });
  if (mark == stack_.rend()) fail_here("there is no mark on the stack");
  std::vector<PickleId> items(mark.base(), stack_.end());
  stack_.erase(mark.base() - 1, stack_.end());
  return items;
}

PickleValue& PickleReader::top(Kind kind) {
  const PickleId id = pop(kind);
  stack_.push_back(id);
  return values_[id];
}

void PickleReader::append(PickleValue& container, const std::vector<PickleId>& items) {
  builder_.charge(items.size(), 2 * sizeof(PickleId), field_, opcode_at_);
  container.items.insert(container.items.end(), items.begin(), items.end());
}

void PickleReader::push_tuple(std::size_t count) {
  std::vector<PickleId> items(count);
  for (std::size_t i = count; i-- > 0;) items[i] = pop();
  append(push(Kind::tuple), items);
}

void PickleReader::step(std::uint8_t opcode) {
  if (step_constant(opcode) || step_container(opcode) || step_memo(opcode)) return;
  switch (opcode) {
    case kGlobal:
      return push_global();
    case kBinPersId:
      return push_storage();
    case kReduce:
      return reduce();
    case kBuild:
      return build();
    default:
      fail_here("opcode 0x{:02x} ('{}') is not among those that torch.save writes; it is not run",
                opcode, base::printable(std::string_view(reinterpret_cast<char*>(&opcode), 1)));
  }
}

bool PickleReader::step_constant(std::uint8_t opcode) {
  switch (opcode) {
    case kNone:
      push(Kind::none);
      return true;
    case kTrue:
    case kFalse:
      push(Kind::boolean).integer = opcode == kTrue ? 1 : 0;
      return true;
    case kBinInt:
      push(Kind::integer).integer = number<std::int32_t>();
      return true;
    case kBinInt1:
      push(Kind::integer).integer = number<std::uint8_t>();
      return true;
    case kBinInt2:
      push(Kind::integer).integer = number<std::uint16_t>();
      return true;
    case kLong1:
      push(Kind::integer).integer = long_integer();
      return true;
    case kBinFloat:
      push(Kind::real).real = big_endian_real();
      return true;
    case kBinUnicode: {
      const std::string_view text = bytes(number<std::uint32_t>());
      if (!base::is_utf8(text)) fail_here("a text is not UTF-8");
      push(Kind::text).text = text;
      return true;
    }
    default:
      return false;
  }
}

bool PickleReader::step_container(std::uint8_t opcode) {
  switch (opcode) {
    case kMark:
      push(Kind::mark);
      return true;
    case kEmptyTuple:
      push(Kind::tuple);
      return true;
    case kTuple1:
    case kTuple2:
    case kTuple3:
      push_tuple(1U + opcode - kTuple1);
      return true;
    case kTuple: {
      const std::vector<PickleId> items = pop_to_mark();
      append(push(Kind::tuple), items);
      return true;
    }
    case kEmptyList:
      push(Kind::list);
      return true;
    case kAppend: {
      const PickleId item = pop();
      append(top(Kind::list), {item});
      return true;
    }
    case kAppends: {
      const std::vector<PickleId> items = pop_to_mark();
      append(top(Kind::list), items);
      return true;
    }
    case kEmptyDict:
      push(Kind::dict);
      return true;
    case kSetItem: {
      const PickleId value = pop();
      const PickleId key = pop();
      append(top(Kind::dict), {key, value});
      return true;
    }
    case kSetItems: {
      const std::vector<PickleId> items = pop_to_mark();
      if (items.size() % 2 != 0) fail_here("SETITEMS with a key that has no value");
      append(top(Kind::dict), items);
      return true;
    }
    default:
      return false;
  }
}

bool PickleReader::step_memo(std::uint8_t opcode) {
  switch (opcode) {
    case kBinPut:
      put(number<std::uint8_t>());
      return true;
    case kLongBinPut:
      put(number<std::uint32_t>());
      return true;
    case kBinGet:
      get(number<std::uint8_t>());
      return true;
    case kLongBinGet:
      get(number<std::uint32_t>());
      return true;
    default:
      return false;
  }
}

void PickleReader::put(std::uint64_t slot) {
  const PickleId id = pop();
  stack_.push_back(id);
  // Writers number the slots 0, 1, 2, ...: a slot ahead of that would make memory of a claim.
  if (slot > memo_.size()) {
    fail_here("memo slot {} after only {} slots", slot, memo_.size());
  }
  builder_.charge(1, 2 * sizeof(PickleId), field_, opcode_at_);
  if (slot == memo_.size()) memo_.push_back(kNothing);
  memo_[slot] = id;
}

void PickleReader::get(std::uint64_t slot) {
  if (slot >= memo_.size()) fail_here("memo slot {} holds nothing", slot);
  builder_.charge(1, 2 * sizeof(PickleId), field_, opcode_at_);
  stack_.push_back(memo_[slot]);
}

void PickleReader::push_global() {
  const std::uint64_t begin = position_;
  const std::string_view module = line();
  const std::string_view name = line();
  std::string full = fmt::format("{}.{}", module, name);
  for (const std::string_view known : {kRebuildTensor, kRebuildParameter, kOrderedDict}) {
    if (full == known) {
      push(Kind::global).text = known;
      return;
    }
  }
  const StoredType* type = find_torch_storage(full);
  if (type == nullptr) {
    fail_field(file_.path, field_, begin - 1,
               "the global {} is not allowed: only tensors, their storages and dictionaries are "
               "read, nothing is imported",
               base::printable(full));
  }
  PickleValue& value = push(Kind::global);
  value.text = type->name;
  value.type = type;
}

/// ('storage', torch.FloatStorage, key, location, elements)
void PickleReader::push_storage() {
  const std::vector<PickleId> items = values_[pop(Kind::tuple)].items;
  constexpr std::array<Kind, 5> kKinds = {Kind::text, Kind::global, Kind::text, Kind::text,
                                          Kind::integer};
  bool right = items.size() == kKinds.size();
  for (std::size_t i = 0; right && i < items.size(); ++i) {
    right = values_[items[i]].kind == kKinds[i];
  }
  if (!right || values_[items[0]].text != "storage" || values_[items[1]].type == nullptr) {
    fail_here("BINPERSID without ('storage', torch.*Storage, key, location, elements)");
  }
  const std::int64_t elements = values_[items[4]].integer;
  if (elements < 0) fail_here("a storage of {} elements", elements);
  PickleValue& storage = push(Kind::storage);
  storage.text = values_[items[2]].text;
  storage.type = values_[items[1]].type;
  storage.integer = elements;
}

void PickleReader::reduce() {
  const std::vector<PickleId> arguments = values_[pop(Kind::tuple)].items;
  const PickleValue& function = values_[pop(Kind::global)];
  if (function.text == kRebuildTensor) return rebuild_tensor(arguments);
  if (function.text == kRebuildParameter) return rebuild_parameter(arguments);
  if (function.text != kOrderedDict) {
    fail_here("REDUCE calls torch's storage of {}, which nothing writes", function.text);
  }
  if (!arguments.empty()) fail_here("OrderedDict with {} arguments", arguments.size());
  push(Kind::dict);
}

/// (storage, offset, size, stride, requires_grad, backward_hooks[, metadata])
void PickleReader::rebuild_tensor(const std::vector<PickleId>& arguments) {
  const auto kind = [&](std::size_t i) { return values_[arguments[i]].kind; };
  const auto wrong = [&](const char* what) {
    fail_here("_rebuild_tensor_v2 with {}, not (storage, offset, sizes, strides, ...)", what);
  };
  if (arguments.size() < 6 || arguments.size() > 7) wrong("a wrong number of arguments");
  if (kind(0) != Kind::storage) wrong("no storage");
  if (kind(1) != Kind::integer) wrong("no offset");
  for (const std::size_t i : {2U, 3U}) {
    if (kind(i) != Kind::tuple) wrong("no tuple of sizes or strides");
    if (values_[arguments[i]].items.size() > kMaxTorchDimensions) wrong("too many dimensions");
    for (const PickleId item : values_[arguments[i]].items) {
      if (values_[item].kind != Kind::integer) wrong("a size or stride that is no integer");
    }
  }
  if (values_[arguments[2]].items.size() != values_[arguments[3]].items.size()) {
    wrong("sizes and strides of different lengths");
  }
  // Bits that would change the values: conjugation, negation.
  if (arguments.size() == 7 && kind(6) != Kind::none && !values_[arguments[6]].items.empty()) {
    wrong("metadata");
  }
  append(push(Kind::tensor), {arguments.begin(), arguments.begin() + 4});
}

/// (tensor, requires_grad, backward_hooks)
void PickleReader::rebuild_parameter(const std::vector<PickleId>& arguments) {
  if (arguments.size() != 3 || values_[arguments[0]].kind != Kind::tensor) {
    fail_here("_rebuild_parameter without (tensor, requires_grad, hooks)");
  }
  stack_.push_back(arguments[0]);
}

/// Attributes of a dictionary (a state_dict's versions) say nothing about tensors.
void PickleReader::build() {
  pop(Kind::dict);
  (void)top(Kind::dict);
}

}  // namespace assay::files
