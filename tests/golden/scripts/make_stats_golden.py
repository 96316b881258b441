#!/usr/bin/env python3
# Copyright the assay authors. SPDX-License-Identifier: Apache-2.0
"""Golden values of src/stats from scipy, scikit-learn and statsmodels.

Usage: make_stats_golden.py [OUTPUT_FILE]     (default: tests/golden/stats/stats.json)

Needs numpy, scipy, scikit-learn and statsmodels; nothing else uses them.
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy import optimize, stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests


def mcnemar_cases():
    pairs = [(0, 0), (1, 0), (0, 6), (5, 5), (10, 3), (3, 10), (40, 61), (250, 190), (1200, 1000)]
    return [
        {"first": b, "second": c, "p": float(mcnemar([[7, b], [c, 9]], exact=True).pvalue)}
        for b, c in pairs
    ]


def holm_cases():
    lists = [[0.01], [0.04, 0.01, 0.03], [0.5, 0.9, 0.001, 0.02, 0.02], [0.2, 0.2], [1.0, 0.0, 0.6]]
    return [
        {"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()} for p in lists
    ]


def bootstrap_cases(rng):
    """scipy's percentile bootstrap with many resamples; ours draws others, so limits are compared
    with a tolerance of a few standard errors of a limit, and of one step where means have steps."""
    cases = []
    flips = rng.choice([-1.0, 0.0, 1.0], 300, p=[0.06, 0.9, 0.04])
    for values, step in ((flips, 1 / 300), (rng.gamma(2.0, 1.5, 120), 0.0)):
        result = stats.bootstrap(
            (values,), np.mean, n_resamples=100_000, method="percentile", batch=2000, rng=rng
        )
        cases.append(
            {
                "samples": values.tolist(),
                "step": step,
                "low": float(result.confidence_interval.low),
                "high": float(result.confidence_interval.high),
                "standard_error": float(result.standard_error),
            }
        )
    return cases


def detectable(n, share):
    """Connor's sample-size formula, solved by scipy for the difference."""
    z_alpha, z_beta = stats.norm.isf(0.025), stats.norm.isf(0.2)

    def lacking(d, s):
        return z_alpha * np.sqrt(s) + z_beta * np.sqrt(max(0.0, s - d * d)) - np.sqrt(n) * d

    if lacking(share, share) <= 0:
        return optimize.brentq(lambda d: lacking(d, share), 0.0, share, xtol=1e-15)
    return optimize.brentq(lambda d: lacking(d, d), 1e-9, 1.0, xtol=1e-15)


def exact_power(n, share, difference):
    """Probability that the exact McNemar test is significant at 0.05, over all outcomes."""
    p_first = (share + difference) / 2 / share
    power = 0.0
    for m in range(n + 1):
        weight = stats.binom.pmf(m, n, share)
        if weight < 1e-12:
            continue
        k = np.arange(m + 1)
        p = np.minimum(1.0, 2 * stats.binom.cdf(np.minimum(k, m - k), m, 0.5))
        power += weight * stats.binom.pmf(k, m, p_first)[p <= 0.05].sum()
    return float(power)


def detectable_cases():
    cases = []
    for n, share in [(100, 0.3), (300, 0.1), (1000, 0.05), (1000, 0.12), (2000, 0.02), (1000, 0.001)]:
        d = detectable(n, share)
        cases.append({"n": n, "share": share, "difference": d})
        if d < share:
            cases[-1]["exact_power"] = exact_power(n, share, d)
    return cases


def classification_case(rng, classes, n, unused):
    expected = rng.integers(0, classes, n)
    predicted = np.where(rng.random(n) < 0.6, expected, rng.integers(0, classes, n))
    case = {"expected": expected.tolist(), "predicted": predicted.tolist(), "classes": classes + unused}
    for average in ("macro", "weighted"):
        p, r, f, _ = metrics.precision_recall_fscore_support(
            expected, predicted, average=average, zero_division=0
        )
        case[average] = [float(p), float(r), float(f)]
    return case


def calibration_case(rng, n, bins):
    confidence = rng.random(n)
    confidence[:3] = [0.0, 1.0, 0.2]  # ends of bins
    correct = rng.random(n) < confidence * 0.8
    edges = np.linspace(0.0, 1.0, bins + 1)
    error = 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if low == 0.0:
            inside |= confidence == 0.0
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    return {
        "confidence": confidence.tolist(),
        "correct": correct.astype(int).tolist(),
        "bins": bins,
        "error": float(error),
    }


def correlation_case(rng, n):
    a = rng.normal(size=n)
    b = 0.7 * a + rng.normal(size=n)
    return {"a": a.tolist(), "b": b.tolist(), "r": float(stats.pearsonr(a, b).statistic)}


def main():
    here = Path(__file__).resolve().parent.parent
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else here / "stats" / "stats.json"
    rng = np.random.default_rng(7)
    golden = {
        "mcnemar": mcnemar_cases(),
        "holm": holm_cases(),
        "bootstrap": bootstrap_cases(rng),
        "detectable": detectable_cases(),
        "classification": [classification_case(rng, 2, 50, 0), classification_case(rng, 4, 90, 1)],
        "calibration": [calibration_case(rng, 60, 10), calibration_case(rng, 60, 15)],
        "correlation": [correlation_case(rng, 40)],
    }
    out.write_text(json.dumps(golden, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
