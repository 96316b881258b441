#!/usr/bin/env python3
"""A roofline figure (SVG) of linear_bench's results.

    linear_bench --benchmark_format=json --benchmark_filter='avx2/.*t:2' > kernels.json
    python3 benchmarks/kernels/roofline.py kernels.json > docs/figures/roofline.svg

Across: operations for each byte of weights. Up: operations a second. The slope is the memory speed and
the ceilings are the peaks of the units that the kernels multiply with, as measured in the same run."""
import json
import math
import statistics
import sys

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 860, 520, 76, 58, 56, 250
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#9a6324",
          "#800000", "#4363d8", "#808000", "#000000"]
SHAPES = {"1": "circle", "4": "square", "64": "diamond", "512": "triangle"}


def results(report):
    """Medians of repetitions: kernel, rows, operations a byte and a second, limits."""
    grouped = {}
    for b in report["benchmarks"]:
        if b.get("run_type") == "aggregate" or "error_occurred" in b:
            continue
        grouped.setdefault(b["run_name"], []).append(b)
    points = []
    for name, runs in grouped.items():
        kernel, *shape = name.split("/")
        rows = dict(part.split(":") for part in shape if ":" in part)["m"]
        points.append({"kernel": kernel.removeprefix("linear_"), "rows": rows,
                       "x": runs[0]["ops/byte"], "y": statistics.median(r["ops/s"] for r in runs),
                       "memory": runs[0]["memory B/s"], "peak": runs[0]["peak ops/s"]})
    return points


class Axes:
    """Logarithmic, whole decades around the points."""

    def __init__(self, points):
        xs, ys = [p["x"] for p in points], [p["y"] for p in points] + [p["peak"] for p in points]
        self.x0, self.x1 = math.floor(math.log10(min(xs))), math.ceil(math.log10(max(xs)))
        self.y0, self.y1 = math.floor(math.log10(min(filter(None, ys)))), math.ceil(math.log10(max(ys)))

    def x(self, value):
        return LEFT + (math.log10(value) - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        share = (math.log10(value) - self.y0) / (self.y1 - self.y0)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def marker(shape, x, y, color):
    if shape == "square":
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{color}"/>'
    if shape in ("diamond", "triangle"):
        corners = [(0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0)] if shape == "diamond" else \
            [(0, -5.5), (5.5, 4.5), (-5.5, 4.5)]
        path = " ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in corners)
        return f'<polygon points="{path}" fill="{color}"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{color}"/>'


def text(x, y, words, anchor="start", size=12, extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{extra}>{words}</text>'


def line(x1, y1, x2, y2, style):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


def grid(axes):
    out, style = [], 'stroke="#dddddd"'
    for decade in range(axes.x0, axes.x1 + 1):
        x = axes.x(10 ** decade)
        out += [line(x, TOP, x, HEIGHT - BOTTOM, style),
                text(x, HEIGHT - BOTTOM + 18, f"{10 ** decade:g}", "middle")]
    for decade in range(axes.y0, axes.y1 + 1):
        y = axes.y(10 ** decade)
        out += [line(LEFT, y, WIDTH - RIGHT, y, style),
                text(LEFT - 8, y + 4, f"{10 ** (decade - 9):g}", "end")]
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f' transform="rotate(-90 20 {middle})"'
    return out + [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, "operations for each byte of weights",
                       "middle"),
                  text(20, middle, "billion operations a second", "middle", extra=turned)]


def roofs(axes, points):
    memory = statistics.median(p["memory"] for p in points)
    out, style = [], 'stroke="#333333" stroke-width="1.5"'
    for peak in sorted({p["peak"] for p in points if p["peak"]}):
        ridge = min(max(peak / memory, 10 ** axes.x0), 10 ** axes.x1)
        out += [line(axes.x(ridge), axes.y(peak), axes.x(10 ** axes.x1), axes.y(peak), style),
                text(axes.x(10 ** axes.x1) - 4, axes.y(peak) - 6, f"{peak / 1e9:.0f}", "end")]
    low = max(10 ** axes.x0, 10 ** axes.y0 / memory)
    high = min(max(p["peak"] for p in points) / memory, 10 ** axes.x1)
    out += [line(axes.x(low), axes.y(low * memory), axes.x(high), axes.y(high * memory), style),
            text(axes.x(low) + 8, axes.y(low * memory) - 14, f"{memory / 1e9:.1f} GB/s")]
    return out


def figure(report):
    points = results(report)
    axes = Axes(points)
    kernels = sorted({p["kernel"] for p in points})
    color = {k: COLORS[i % len(COLORS)] for i, k in enumerate(kernels)}
    rows = sorted({p["rows"] for p in points}, key=int)
    out = grid(axes) + roofs(axes, points)
    out += [marker(SHAPES.get(p["rows"], "circle"), axes.x(p["x"]), axes.y(p["y"]), color[p["kernel"]])
            for p in points]
    left = WIDTH - RIGHT + 18
    for i, kernel in enumerate(kernels):
        out += [marker("circle", left, TOP + 18 * i, color[kernel]), text(left + 12, TOP + 18 * i + 4, kernel)]
    for i, count in enumerate(rows):
        y = TOP + 18 * (len(kernels) + 1 + i)
        out += [marker(SHAPES.get(count, "circle"), left, y, "#888888"),
                text(left + 12, y + 4, f"{count} row{'s' if count != '1' else ''}")]
    out.append(text(LEFT, 28, "Linear kernels against this machine's limits", size=16))
    body = "\n".join(out)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
            f"{body}\n</svg>")


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(figure(json.load(file)))
