#include <unistd.h>

#include <cstdio>
#include <string>

#include "base/json.h"
#include "cli/commands.h"
#include "study/calibration.h"
#include "study/cell.h"
#include "study/channel.h"

namespace assay::cli {
namespace {

constexpr int kRecordDescriptor = 3;

Json read_standard_input(const std::string& what) {
  std::string text;
  char chunk[4096];
  for (ssize_t n; (n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0;) {
    text.append(chunk, static_cast<std::size_t>(n));
  }
  return base::parse_json(text, what);
}

void send(const Json& record) {
  const std::string text = record.dump(-1, ' ', false, Json::error_handler_t::replace);
  study::write_frame(kRecordDescriptor, text.data(), text.size());
}

}  // namespace

void add_children(CLI::App& program, Outcome&) {
  // An empty group hides them from the help: people start studies, studies start these.
  auto* cell = program.add_subcommand("cell", "run one cell")->group("");
  cell->callback([] {
    study::prepare_child();
    study::run_cell(study::Cell::from_json(read_standard_input("cell")), send);
  });
  auto* calibration = program.add_subcommand("calibration", "calibrate a model")->group("");
  calibration->callback([] {
    study::prepare_child();
    study::run_calibration(read_standard_input("calibration"), kRecordDescriptor);
  });
  auto* baseline = program.add_subcommand("baseline", "stream a baseline")->group("");
  baseline->callback([] {
    study::prepare_child();
    study::run_baseline(read_standard_input("baseline"), kRecordDescriptor);
  });
}

}  // namespace assay::cli
