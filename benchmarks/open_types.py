"""Exact F1 with open types, on a part of the project's own corpus."""

from pathlib import Path
from typing import Annotated, Dict, List

import srsly
import typer
from corpora import Text, machine
from tagging import evaluate, show_scores

from spacy_nerllm.corpus.splits import read_splits


def main(
    name: Annotated[str, typer.Argument(help="What the result is called in the file")],
    part: Annotated[str, typer.Option(help="dev to choose on, test to report")] = "dev",
    passages: Annotated[Path, typer.Option(help="Folder of passages that fixes its parts")] = Path(
        "assets/open_types"
    ),
    adapter: Annotated[str, typer.Option(help="Adapter")] = "default",
    base: Annotated[str, typer.Option(help="Base model")] = "smollm2-135m",
    batch_tokens: Annotated[int, typer.Option(help="Prompt tokens that are run at once")] = 8192,
    out: Annotated[Path, typer.Option(help="Results; others stay in it")] = Path(
        "benchmarks/open_types.json"
    ),
) -> None:
    texts: Dict[str, List[Text]] = {}
    for passage in read_splits(passages)[part]:
        texts.setdefault(passage.lang, []).append(
            Text(passage.text, passage.entities, passage.lang)
        )
    config = {"adapter": adapter, "base": base, "batch_tokens": batch_tokens}
    found = {lang: evaluate(f"{name} {lang}", texts[lang], config) for lang in sorted(texts)}
    results = srsly.read_json(out) if out.exists() else {}
    results.setdefault(part, {})[name] = {"languages": found, "machine": machine()}
    srsly.write_json(out, results)
    show_scores(found, "language")


if __name__ == "__main__":
    typer.run(main)
