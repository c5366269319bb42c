"""Exact typed F1 with given types, on the first texts of evaluation corpora."""

import time
from pathlib import Path
from typing import Annotated, Any, Dict, List, Optional

import spacy
import srsly
import typer
from corpora import machine, read_texts
from tqdm import tqdm
from wasabi import msg

from spacy_nerllm.evaluation.scorers import score_spans

CROSSNER = ["ai", "literature", "music", "politics", "science"]
CORPORA = ["wnut17", *(f"crossner_{name}" for name in CROSSNER)]

COUNTS = ("answers", "salvaged", "truncated", "looped", "unplaced", "conflicts")


def evaluate(path: Path, labels: List[str], limit: int, config: Dict[str, Any]) -> Dict[str, Any]:
    texts = list(read_texts(path, limit))
    nlp = spacy.blank(texts[0].lang)
    nerllm = nlp.add_pipe("nerllm", config={**config, "labels": labels})
    nlp("Ada Lovelace wrote this.")  # Loads the model, which is not to be timed.
    nerllm.counts.clear()
    begin = time.perf_counter()
    docs = tqdm(nlp.pipe(text.text for text in texts), total=len(texts), desc=path.stem)
    predicted = [[(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents] for doc in docs]
    seconds = time.perf_counter() - begin
    gold = [text.spans for text in texts]
    typed = score_spans(gold, predicted)
    counts = nerllm.counts
    return {
        "texts": len(texts),
        "precision": round(100 * typed.precision, 2),
        "recall": round(100 * typed.recall, 2),
        "typed_f1": round(100 * typed.f1, 2),
        "span_f1": round(100 * score_spans(gold, predicted, typed=False).f1, 2),
        "strict": round(100 * (1 - counts["salvaged"] / counts["answers"]), 2),
        "seconds": round(seconds, 1),
        **{name: counts[name] for name in COUNTS},
    }


def main(
    data: Annotated[Path, typer.Argument(help="Folder of corpora, JSONL")],
    labels: Annotated[Path, typer.Argument(help="Types of each corpus, JSON")],
    corpora: Annotated[
        Optional[List[str]], typer.Option(help="Which; WNUT 17 and CrossNER if not given")
    ] = None,
    limit: Annotated[int, typer.Option(help="Texts of each corpus")] = 300,
    adapter: Annotated[str, typer.Option(help="Adapter")] = "default",
    base: Annotated[str, typer.Option(help="Base model")] = "smollm2-135m",
    batch_tokens: Annotated[int, typer.Option(help="Prompt tokens that are run at once")] = 8192,
    out: Annotated[Path, typer.Option(help="Results; corpora not run now stay in it")] = Path(
        "benchmarks/given_types.json"
    ),
) -> None:
    config = {"adapter": adapter, "base": base, "batch_tokens": batch_tokens, "annotate": "ents"}
    types = srsly.read_json(labels)
    results = srsly.read_json(out) if out.exists() else {}
    for name in corpora or CORPORA:
        result = evaluate(data / f"{name}.jsonl", types[name], limit, config)
        results[name] = {**result, "machine": machine()}
        srsly.write_json(out, results)
    show(results)


def show(results: Dict[str, Dict[str, Any]]) -> None:
    header = ("corpus", "typed F1", "span F1", "precision", "recall", "strict %", "ended loops")
    keys = ("typed_f1", "span_f1", "precision", "recall", "strict", "looped")
    rows = [(name, *(result[key] for key in keys)) for name, result in results.items()]
    msg.table(rows, header=header, divider=True, aligns=("l", *"rrrrrr"))
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
