"""The benchmark's results as pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from benchmarks.plan import GROWTH
from benchmarks.report import Summaries

__all__ = ["plot"]

BARS: Final = (
    ("restart", "time (ms)"),
    ("restart, two processes", "time (ms)"),
    ("restart", "longest gap (ms)"),
    ("set-up", "time (ms)"),
    ("set-up, trickle", "time (ms)"),
    ("recovery, interface gone", "silence (s)"),
    ("recovery, packets vanish", "silence (s)"),
    ("data, 1 KiB", "data per second of processor time (MB)"),
)
COLORS: Final = {
    "restartice": "#2a7f62",
    "aiortc": "#8d99ae",
    "libwebrtc": "#d08c60",
    "Chromium": "#b56576",
}


def plot(summaries: Summaries, folder: Path) -> None:
    """Draw all that was measured: medians as bars with p95 as a line, and growth as curves."""
    _save(_bars(summaries), folder / "comparison.png")
    _save(_growth(summaries), folder / "growth.png")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bars(summaries: Summaries) -> Figure:
    figure, axes = plt.subplots(2, 4, figsize=(15, 6.5), layout="constrained")
    for ax, (case, name) in zip(axes.flat, BARS, strict=False):
        ax.set_title(f"{case}\n{name}", fontsize=10)
        for stack, series in summaries.get(case, {}).items():
            if (summary := series.get(name)) is None:
                ax.bar(stack, 0)
                ax.text(stack, 0, "never", ha="center", va="bottom")
                continue
            above = max(0.0, summary.p95 - summary.median)
            ax.bar(stack, summary.median, yerr=[[0], [above]], color=COLORS.get(stack))
            # Above the line, which would go through it.
            top = summary.median + above
            ax.text(stack, top, f"{summary.median:.3g}", ha="center", va="bottom")
        ax.margins(y=0.12)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes.flat[len(BARS) :]:
        ax.set_visible(False)
    return figure


def _growth(summaries: Summaries) -> Figure:
    names = list(
        dict.fromkeys(
            name
            for count in GROWTH
            for series in summaries.get(f"{count} pairs", {}).values()
            for name in series
        )
    )
    figure, axes = plt.subplots(1, max(1, len(names)), figsize=(15, 3.8), layout="constrained")
    for ax, name in zip(axes if len(names) > 1 else [axes], names, strict=False):
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("pairs")
        for stack, color in COLORS.items():
            points = _curve(summaries, stack, name)
            if points:
                ax.plot(*zip(*points, strict=True), marker="o", label=stack, color=color)
        ax.margins(y=0.12)
        ax.set_ylim(bottom=0)
        ax.legend(fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def _curve(summaries: Summaries, stack: str, name: str) -> Sequence[tuple[int, float]]:
    found = [(n, summaries.get(f"{n} pairs", {}).get(stack, {}).get(name)) for n in GROWTH]
    return [(n, summary.median) for n, summary in found if summary is not None]
