"""Draws the results of speed.py. It needs matplotlib, which nothing else does."""

import statistics
from pathlib import Path
from typing import Annotated, Any, Dict, List

import matplotlib.pyplot as plt
import srsly
import typer

OURS, THEIRS = "#2a6f97", "#b0b7bf"


def bar(rounds: List[Dict[str, Any]]) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The middle of a row over the rounds, and how far it is from the
    slowest and fastest of them.
    """
    speeds = [row["words_per_second"] for row in rounds]
    middle = statistics.median(speeds)
    return {
        "row": rounds[0]["row"],
        "middle": middle,
        "spread": [[middle - min(speeds)], [max(speeds) - middle]],
    }


def main(
    results: Annotated[Path, typer.Argument(help="From speed.py")] = Path("benchmarks/speed.json"),
    out: Annotated[Path, typer.Argument(help="The picture")] = Path("docs/images/speed.svg"),
) -> None:
    measured = srsly.read_json(results)
    bars = [bar(rounds) for rounds in zip(*measured["rounds"], strict=True)]
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(bars) + 1.1), layout="constrained")
    for found in reversed(bars):
        ours = found["row"].startswith(("nerllm", "prompts"))
        drawn = axes.barh(
            found["row"],
            found["middle"],
            xerr=found["spread"],
            color=OURS if ours else THEIRS,
            alpha=0.45 if found["row"].startswith("prompts") else 1,
        )
        axes.bar_label(drawn, fmt="%.0f", padding=5)
    axes.set_xlabel(f"words a second, {measured['machine']['cpu']}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    out.parent.mkdir(parents=True, exist_ok=True)
    plt.rcParams["svg.hashsalt"] = out.name
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    typer.run(main)
