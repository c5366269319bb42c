"""Exact typed F1 with given types, on the first texts of evaluation corpora."""

from pathlib import Path
from typing import Annotated, Any, Dict, List, Optional

import srsly
import typer
from corpora import machine, read_texts
from tagging import evaluate, show_scores
from wasabi import msg

CROSSNER = ["ai", "literature", "music", "politics", "science"]
CORPORA = ["wnut17", *(f"crossner_{name}" for name in CROSSNER)]


def main(
    data: Annotated[Path, typer.Argument(help="Folder of corpora, JSONL")],
    labels: Annotated[Path, typer.Argument(help="Types of each corpus, JSON")],
    corpora: Annotated[
        Optional[List[str]], typer.Option(help="Which; WNUT 17 and CrossNER if not given")
    ] = None,
    limit: Annotated[int, typer.Option(help="Texts of each corpus; 0 for all")] = 300,
    adapter: Annotated[str, typer.Option(help="Adapter")] = "default",
    base: Annotated[str, typer.Option(help="Base model")] = "smollm2-135m",
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16")] = "auto",
    quantize: Annotated[str, typer.Option(help="auto, int8, int4 or none")] = "auto",
    out: Annotated[Path, typer.Option(help="Results; corpora not run now stay in it")] = Path(
        "benchmarks/given_types.json"
    ),
) -> None:
    config = {"adapter": adapter, "base": base, "dtype": dtype, "quantize": quantize}
    types = srsly.read_json(labels)
    results = srsly.read_json(out) if out.exists() else {}
    for name in corpora or CORPORA:
        texts = list(read_texts(data / f"{name}.jsonl", limit or None))
        result = evaluate(name, texts, {**config, "labels": types[name]})
        results[name] = {**result, "machine": machine()}
        srsly.write_json(out, results)
    show(results)


def show(results: Dict[str, Dict[str, Any]]) -> None:
    show_scores(results, "corpus")
    crossner = [
        results[f"crossner_{name}"]["typed_f1"]
        for name in CROSSNER
        if f"crossner_{name}" in results
    ]
    if len(crossner) == len(CROSSNER):
        msg.info(f"Mean typed F1 of CrossNER: {sum(crossner) / len(crossner):.1f}")
    answers = sum(result["answers"] for result in results.values())
    salvaged = sum(result["salvaged"] for result in results.values())
    looped = sum(result["looped"] for result in results.values())
    msg.info(
        f"{100 * (1 - salvaged / answers):.2f} % of {answers} answers are strict JSON; the decoder "
        f"ended {100 * looped / answers:.2f} % of all, which only repeated themselves"
    )


if __name__ == "__main__":
    typer.run(main)
