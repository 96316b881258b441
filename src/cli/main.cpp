#include <malloc.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "study/build_info.h"

namespace assay::cli {
namespace {

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = [](int signal) { base::request_interrupt(signal); };
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

/// Loading makes large temporaries between the weights that stay. Blocks of this size are mapped
/// and given back whole: from the heap, whose own limit grows with what is freed, they would leave
/// holes (bf16 of a 1.1B model held 1.2 GB more than its weights, and now 0.15 GB).
void keep_large_blocks_out_of_the_heap() {
#ifdef M_MMAP_THRESHOLD
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

int report_error(ErrorCode code, const char* message) {
  std::fprintf(stderr, "assay: %s\n", message);
  return exit_code(code);
}

int run(int argc, char** argv) {
  CLI::App program{
      "assay tells in which precision to run a model on this machine, and proves what ran.\n"
      "First steps:  assay doctor\n"
      "              assay bench -m MODEL --precision bf16,int8,nf4",
      "assay"};
  program.set_version_flag("--version", fmt::format("{} ({})", study::kVersion, study::kGitCommit));
  program.require_subcommand(1);
  program.fallthrough(false);
  Outcome outcome;
  add_bench(program, outcome);
  add_eval(program, outcome);
  add_study(program, outcome);
  add_report(program, outcome);
  add_generate(program, outcome);
  add_tokenize(program, outcome);
  add_quantize(program, outcome);
  add_calibrate(program, outcome);
  add_make_model(program, outcome);
  add_inspect(program, outcome);
  add_doctor(program, outcome);
  add_verify(program, outcome);
  add_children(program, outcome);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = program.exit(error);
    return code == 0 ? 0 : exit_code(ErrorCode::usage);
  }
  return outcome.exit_code;
}

}  // namespace
}  // namespace assay::cli

int main(int argc, char** argv) {
  using assay::ErrorCode;
  assay::cli::install_signal_handlers();
  assay::cli::keep_large_blocks_out_of_the_heap();
  try {
    return assay::cli::run(argc, argv);
  } catch (const assay::Error& error) {
    return assay::cli::report_error(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return assay::cli::report_error(ErrorCode::out_of_memory, "out of memory");
  } catch (const std::exception& error) {
    return assay::cli::report_error(ErrorCode::internal, error.what());
  }
}
