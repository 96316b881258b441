#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace assay::cli {

/// What a subcommand leaves behind: the process's exit code.
struct Outcome {
  int exit_code = 0;
};

// Each adds its subcommand to the program, in a file of its own name.
void add_bench(CLI::App& program, Outcome& outcome);
void add_eval(CLI::App& program, Outcome& outcome);
void add_study(CLI::App& program, Outcome& outcome);
void add_report(CLI::App& program, Outcome& outcome);
void add_generate(CLI::App& program, Outcome& outcome);
void add_tokenize(CLI::App& program, Outcome& outcome);
void add_quantize(CLI::App& program, Outcome& outcome);
void add_calibrate(CLI::App& program, Outcome& outcome);
void add_make_model(CLI::App& program, Outcome& outcome);
void add_inspect(CLI::App& program, Outcome& outcome);
void add_doctor(CLI::App& program, Outcome& outcome);
void add_verify(CLI::App& program, Outcome& outcome);
/// Hidden: the processes that a study starts.
void add_children(CLI::App& program, Outcome& outcome);

}  // namespace assay::cli
