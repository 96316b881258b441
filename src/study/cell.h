#pragma once

#include <functional>
#include <string>

#include "base/json.h"
#include "base/progress.h"
#include "precision/recipe.h"

namespace assay::study {

/// One measurement, as plain data that travels to a child process as JSON.
///   model     path
///   recipe    {"name", "spec"}: spec is what precision::parse_recipe reads
///   device, threads, fallback
///   workload  {"prompt": [], "generate": [], "depth": [], "batch": [], "sequence": [],
///              "repetitions", "warmup", "min_seconds", "seed", "data", "noise_floor",
///              "interleave": rounds, "deterministic"}; decoder or encoder keys
///   tasks     [{"task": "sst2", "file", "limit"}, {"task": "hellaswag", "file"},
///              {"task": "mmlu", "file": folder, "num_fewshot", "split"},
///              {"task": "perplexity", "file", "procedure", "context", "stride"},
///              {"task": "fidelity", "baseline": {"name", "spec"}, "file", "sequences", "length",
///              "seed"}]
struct Cell {
  std::string id;  ///< name within the study, "smollm2/int8"
  std::string model;
  std::string recipe_name;
  Json recipe;
  std::string
      baseline;  ///< recipe that speedups refer to; empty: the first 16-bit one of the model
  std::string device = "cpu";
  int threads = 0;
  bool fallback = false;
  Json workload;  ///< null: nothing is timed
  Json tasks = Json::array();
  /// Answers that an interrupted run of this very cell left, by task; null: none. Not part of what
  /// a cell is: neither keyed nor listed.
  Json resume;

  [[nodiscard]] Json to_json() const;
  [[nodiscard]] static Cell from_json(const Json& json);
};

/// What a cell's process sends to its parent, one length-prefixed JSON record each:
///   {"type": "stage", "text", "fraction"}       progress, and the heartbeat
///   {"type": "plan", "plan", "model", "parameters", "weight_bytes", ...}
///   {"type": "row", "row": {...}}               a row of design.md section 8
///   {"type": "items", "test", "items": [...]}   answers of a task
///   {"type": "error", "code", "status", "message"}
///   {"type": "end"}
using RecordSink = std::function<void(const Json&)>;

/// Runs a cell in this process: plan, load, bench, tasks; a row for each test. Errors become an
/// error record, never an exception. Called by the hidden subcommand `assay cell`.
void run_cell(const Cell& cell, const RecordSink& sink);

/// The cell's key: hash of everything that could change a result (design.md section 7), as 64
/// hexadecimal digits. Errors: those of opening the model's files, data files and recipes.
/// `progress` hears of files that are hashed for the first time.
[[nodiscard]] std::string cell_key(const Cell& cell, const base::ProgressSink& progress = {});

/// The hash of a data file, or names and hashes of the files of a folder. Errors: those of reading.
[[nodiscard]] Json content_identity(const std::string& path, const base::ProgressSink& progress);

/// Hidden subcommand `assay baseline`: loads model and recipe, writes the fidelity inputs as one
/// record and then the raw f32 outputs, each preceded by its length, to `fd`.
void run_baseline(const Json& spec, int fd);

}  // namespace assay::study
