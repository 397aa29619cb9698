"""The benchmark's results as a table."""

from collections.abc import Mapping, Sequence

from benchmarks.figures import Summary, ratio
from benchmarks.plan import OVERVIEW, TARGETS, Target

__all__ = ["Results", "number", "overview", "summarize", "table", "targets_table"]

# By case, stack and series; one list of values for each round.
Results = Mapping[str, Mapping[str, Mapping[str, Sequence[Sequence[float]]]]]
Summaries = dict[str, dict[str, dict[str, Summary | None]]]


def summarize(results: Results) -> Summaries:
    """Summarize all series; None stands for one without values, as where nothing recovered."""
    return {
        case: {
            stack: {
                name: Summary.of(rounds) if any(rounds) else None for name, rounds in series.items()
            }
            for stack, series in stacks.items()
        }
        for case, stacks in results.items()
    }


def table(summaries: Summaries) -> str:
    """Return all that was measured as a Markdown table."""
    lines = ["| what | whose | median | p95 | lowest round | values |", "|---|---|---|---|---|---|"]
    for case, stacks in summaries.items():
        names = list(dict.fromkeys(name for series in stacks.values() for name in series))
        for name in names:
            for stack, series in stacks.items():
                if name in series:
                    lines.append(f"| {case}: {name} | {stack} | {_cells(series[name])} |")
    return "\n".join(lines)


def overview(summaries: Summaries) -> str:
    """Return what matters most, with a column for each implementation: median and p95."""
    stacks = list(dict.fromkeys(stack for case in summaries.values() for stack in case))
    lines = [f"| median (p95) | {' | '.join(stacks)} |", "|---" * (len(stacks) + 1) + "|"]
    for case, name in OVERVIEW:
        series = [summaries.get(case, {}).get(stack, {}) for stack in stacks]
        if any(name in of_stack for of_stack in series):
            cells = [_brief(of_stack[name]) if name in of_stack else "-" for of_stack in series]
            lines.append(f"| {case}: {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def targets_table(summaries: Summaries) -> str:
    """Return the targets, and what became of them, as a Markdown table."""
    lines = ["| what | against | target | ratio | met |", "|---|---|---|---|---|"]
    for target in TARGETS:
        found = ratio(
            _find(summaries, target, "restartice"), _find(summaries, target, target.against)
        )
        sign = "≥" if target.at_least else "≤"
        result = "not measured |" if found is None else f"{found:.3f} | {_verdict(target, found)}"
        lines.append(f"| {target.name} | {target.against} | {sign} {target.limit} | {result} |")
    return "\n".join(lines)


def number(value: float) -> str:
    """Return a number with three digits that say something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _verdict(target: Target, found: float) -> str:
    return "yes" if target.is_met(found) else "**no**"


def _find(summaries: Summaries, target: Target, stack: str) -> Summary | None:
    return summaries.get(target.name, {}).get(stack, {}).get(target.series)


def _brief(summary: Summary | None) -> str:
    if summary is None:
        return "never"
    p95 = "" if summary.count == 1 else f" ({number(summary.p95)})"
    return number(summary.median) + p95


def _cells(summary: Summary | None) -> str:
    if summary is None:
        return "never | never | never | 0"
    cells = [number(value) for value in (summary.median, summary.p95, summary.best)]
    return " | ".join([*cells, str(summary.count)])
