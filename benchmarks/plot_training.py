"""Draw how a training ran: losses and F1 against tokens. Needs matplotlib."""

from pathlib import Path
from typing import Annotated, Any, Dict, List, Tuple

import matplotlib.pyplot as plt
import srsly
import typer


def line_of(
    log: List[Dict[str, Any]], key: str, batch_tokens: int
) -> Tuple[List[float], List[float]]:
    entries = [entry for entry in log if key in entry]
    millions = [entry["step"] * batch_tokens / 1e6 for entry in entries]
    return millions, [entry[key] for entry in entries]


def main(
    log: Annotated[Path, typer.Argument(help="OUT/log.jsonl of a training")],
    out: Annotated[Path, typer.Argument(help="Picture, such as SVG")],
    batch_tokens: Annotated[int, typer.Option(help="Tokens of a step")] = 2048,
) -> None:
    entries = list(srsly.read_jsonl(log))
    figure, losses = plt.subplots(figsize=(7, 3.5))
    losses.plot(*line_of(entries, "loss", batch_tokens), color="0.75", label="loss, training")
    losses.plot(*line_of(entries, "eval_loss", batch_tokens), "o-", label="loss, held out")
    losses.set_xlabel("million tokens")
    losses.set_ylabel("cross entropy of an answer's token")
    losses.set_ylim(bottom=0)
    scores = losses.twinx()
    scores.plot(*line_of(entries, "eval_f1", batch_tokens), "s--", color="C2", label="F1, held out")
    scores.set_ylabel("F1 of generated pairs")
    scores.set_ylim(0, 1)
    figure.legend(loc="upper center", ncols=3, frameon=False)
    figure.savefig(out)


if __name__ == "__main__":
    typer.run(main)
