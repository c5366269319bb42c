"""What `constrain=True` costs: the share of tagging that is spent in the grammar."""

from pathlib import Path
from typing import Annotated, Dict

import srsly
import torch
import typer
from speed import THREADS, load, tag_first
from timing import timed
from wasabi import msg

from spacy_nerllm.evaluation.machine import machine
from spacy_nerllm.generation.constraint import Constraint


def main(
    data: Annotated[Path, typer.Argument(help="Folder of corpora, JSONL")],
    labels: Annotated[Path, typer.Argument(help="Types of each corpus, JSON")],
    limit: Annotated[int, typer.Option(help="Texts of each corpus")] = 20,
    dtype: Annotated[str, typer.Option(help="float32, or auto for 8 bits")] = "auto",
    out: Annotated[Path, typer.Option(help="Where to write the results")] = Path(
        "benchmarks/constraint.json"
    ),
) -> None:
    torch.set_num_threads(THREADS)
    spent: Dict[str, float] = {}
    Constraint.__init__ = timed(Constraint.__init__, spent, "begin")
    Constraint.allowed = property(timed(Constraint.allowed.fget, spent, "allowed"))
    Constraint.allows = timed(Constraint.allows, spent, "allows")
    Constraint.add = timed(Constraint.add, spent, "add")
    Constraint.mend = timed(Constraint.mend, spent, "mend")
    answers, seconds = tag_first(load(dtype), data, labels, limit, constrain=True)
    tokens = sum(len(answer.ends) for answer in answers)
    complete = sum(answer.complete for answer in answers)
    result = {
        "machine": machine(),
        "dtype": dtype,
        "texts": len(answers),
        "complete": complete,
        "seconds": round(seconds, 2),
        "microseconds_a_token": round(1e6 * sum(spent.values()) / tokens, 1),
        "percent": {name: round(100 * spend / seconds, 2) for name, spend in sorted(spent.items())},
        "percent_of_all": round(100 * sum(spent.values()) / seconds, 2),
    }
    srsly.write_json(out, result)
    msg.table(list(result["percent"].items()), header=("part", "% of tagging"), divider=True)
    msg.info(f"{result['percent_of_all']} % in all, {complete} of {len(answers)} answers complete")


if __name__ == "__main__":
    typer.run(main)
