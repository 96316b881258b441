#pragma once

namespace assay::testing {

/// Plays `assay cell`: reads the cell from standard input and does what its recipe's name says
/// ("ok", "crash", "hang", ...). Returns the exit code.
int play_cell();

}  // namespace assay::testing
