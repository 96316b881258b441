"""Parquet files of a data set to JSONL, for the program, which reads no Parquet itself.

    python3 -m assay.parquet JOBS.json

JOBS.json is a list of {"inputs": [PARQUET...], "output": JSONL}. With "by": COLUMN the rows are divided by
that column, and "{}" in the output's name is its value. An output appears whole or not at all. Needs
pyarrow; ends with 3 where that is missing.
"""

import json
import os
import re
import sys
from pathlib import Path

MISSING_READER = 3


def rows_of(files: list[str]):
    import pyarrow.parquet

    for file in files:
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches():
            yield from batch.to_pylist()


def write_lines(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)


def run(job: dict) -> None:
    rows = list(rows_of(job["inputs"]))
    if "by" not in job:
        write_lines(Path(job["output"]), rows)
        return
    parts: dict[str, list[dict]] = {}
    for row in rows:
        name = str(row[job["by"]])
        # The value becomes a file's name, and data sets come from strangers.
        if not re.fullmatch(r"[A-Za-z0-9_]{1,100}", name):
            raise ValueError(f"{job['inputs'][0]}: '{name[:100]}' in column {job['by']} is no name")
        parts.setdefault(name, []).append(row)
    for name, part in parts.items():
        write_lines(Path(job["output"].replace("{}", name)), part)


def main() -> int:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        print(error, file=sys.stderr)
        return MISSING_READER
    for job in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        run(job)
    return 0


if __name__ == "__main__":
    sys.exit(main())
