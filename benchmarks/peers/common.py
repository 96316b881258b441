"""What the comparisons share: running assay, alternating, medians and ratios, the machine's name."""
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import time


def assay_rows(binary, arguments, store):
    """Rows of one `assay bench`; each must be proved."""
    command = [str(binary), "bench", *map(str, arguments), "-o", "json", "-q", "--store", str(store)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    rows = json.loads(done.stdout)["rows"]
    for row in rows:
        if row["status"] != "ok" or not row["proved"]:
            raise SystemExit(f"not proved: {row['recipe']} {row['test']}: {row['reason']}")
    return rows


def seconds(call, least_calls, least_seconds):
    """Median time of a call, after two that do not count."""
    call()
    call()
    samples = []
    begin = time.perf_counter()
    while len(samples) < least_calls or time.perf_counter() - begin < least_seconds:
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)


def alternate(contestants, rounds):
    """{name: [seconds of each round]}; all of them once in every round, each time in the same order."""
    times = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, measure in contestants.items():
            times[name].append(measure())
    return times


def ratio(theirs, ours):
    """How many times faster `ours` is: median, smallest and largest over the rounds."""
    ratios = [a / b for a, b in zip(theirs, ours)]
    return statistics.median(ratios), min(ratios), max(ratios)


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine(threads):
    cpu = platform.processor() or "unknown"
    info = pathlib.Path("/proc/cpuinfo")
    flags = ""
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
            if line.startswith("flags"):
                flags = line
    widest = next((name for name, flag in (("AMX", "amx_int8"), ("AVX-512 VNNI", "avx512_vnni"),
                                           ("AVX-512", "avx512f"), ("AVX2", "avx2"))
                   if f" {flag}" in flags), "SSE")
    return f"{cpu} ({widest}), {threads} threads, {time.strftime('%Y-%m-%d')}"


def record(folder, **facts):
    """One line of results; run.py makes the table from them."""
    with open(pathlib.Path(folder) / "results.jsonl", "a") as file:
        file.write(json.dumps(facts) + "\n")


def add_options(parser):
    parser.add_argument("--assay", default="build/release/src/assay", help="the program")
    parser.add_argument("--work", required=True, help="folder for models and results")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
