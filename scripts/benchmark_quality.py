"""How good an adapter is: open types on our test part, given types on evaluation corpora."""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Dict, List, Optional, Set

import srsly
import typer
from wasabi import msg

from spacy_nerllm.corpus.records import read_records
from spacy_nerllm.corpus.splits import read_splits
from spacy_nerllm.corpus.type_names import read_type_names
from spacy_nerllm.evaluation.machine import machine
from spacy_nerllm.evaluation.quality import given_quality, open_quality
from spacy_nerllm.evaluation.tagged import tag_texts
from spacy_nerllm.evaluation.texts import Text, read_texts
from spacy_nerllm.generation.checkpoints import resolve_adapter

CROSSNER = [f"crossner_{name}" for name in ("ai", "literature", "music", "politics", "science")]
ZERO_SHOT = [*CROSSNER, "mit_movie", "mit_restaurant"]
OTHERS = ["wnut17", "btc", "bc5cdr", "stackoverflow", "germeval14_de", "meddocan_es"]
EUROPARL = [f"europarl_{lang}" for lang in ("en", "de", "es")]
GIVEN = [*ZERO_SHOT, *OTHERS, *EUROPARL]

OPEN_COLUMNS = {
    "span F1": "span_f1",
    "AMI": "ami",
    "typed F1": "typed_f1",
    "mapped F1": "mapped_f1",
    "one-to-one F1": "one_to_one_f1",
    "types": "types",
    "gold types": "gold_types",
    "calibration error": "calibration_error",
    "strict JSON %": "strict",
}
GIVEN_COLUMNS = {
    "typed F1": "typed_f1",
    "span F1": "span_f1",
    "precision": "precision",
    "recall": "recall",
    "F1, names seen": "seen_f1",
    "F1, names unseen": "unseen_f1",
    "strict JSON %": "strict",
    "ended loops": "looped",
}

# Mean typed F1 of the seven zero-shot sets as their authors give it. The types are given to all.
PUBLISHED = [
    ("GLiNER-S", "50M", 52.7),
    ("GLiNER-M", "90M", 55.4),
    ("GLiNER-L", "300M", 60.9),
    ("UniNER-7B", "7B", 53.7),
    ("GNER-T5-base", "248M", 59.5),
]

_BEGIN, _END = "<!-- quality -->\n", "<!-- end of quality -->\n"

Results = Dict[str, Any]


def main(
    data: Annotated[
        Optional[Path], typer.Argument(help="Folder of corpora, JSONL; without it open types only")
    ] = None,
    labels: Annotated[Optional[Path], typer.Argument(help="Types of each corpus, JSON")] = None,
    part: Annotated[
        str, typer.Option(help="Part of the passages: dev to choose on, test to report")
    ] = "test",
    passages: Annotated[Path, typer.Option(help="Folder of passages that fixes its parts")] = Path(
        "assets/open_types"
    ),
    names: Annotated[Path, typer.Option(help="Broader types and synonyms")] = Path(
        "assets/type_names.json"
    ),
    corpora: Annotated[Optional[List[str]], typer.Option(help="Which; all if not given")] = None,
    limit: Annotated[int, typer.Option(help="Texts of each corpus, 0 for all")] = 300,
    adapter: Annotated[str, typer.Option(help="Adapter")] = "default",
    base: Annotated[str, typer.Option(help="Base model")] = "smollm2-135m",
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16")] = "auto",
    quantize: Annotated[str, typer.Option(help="auto, int8, int4 or none")] = "auto",
    train_file: Annotated[
        Optional[Path], typer.Option(help="What was trained on, to tell seen names of types")
    ] = None,
    out: Annotated[Path, typer.Option(help="Results; of the same run, none is done again")] = Path(
        "benchmarks/quality.json"
    ),
    readme: Annotated[
        Optional[Path], typer.Option(help="Markdown whose table between two marks is replaced")
    ] = None,
) -> None:
    config = {"adapter": adapter, "base": base, "dtype": dtype, "quantize": quantize}
    if data is not None and labels is None:
        msg.fail(f"Name the types of the corpora in {data} too: LABELS.json", exits=1)
    folder = resolve_adapter(adapter)
    sources = [folder / "adapter_model.safetensors", folder / "nerllm.json", names]
    sources += [train_file] if train_file else []
    run = {**config, "adapter": _sha256(sources), "limit": limit, "part": part}
    results = _begun(out, run)

    type_names = read_type_names(names)
    for name, texts in sorted(_passages_by_language(passages, part).items()):
        if name not in results["open"]:
            results["open"][name] = open_quality(tag_texts(texts, config, name), type_names)
            srsly.write_json(out, results)
    if data is not None and labels is not None:
        seen = _types_of(train_file) if train_file else set()
        types = srsly.read_json(labels)
        for name in corpora or GIVEN:
            if name not in types:
                msg.fail(f"{labels} names no types of {name}, but of {sorted(types)}", exits=1)
            if name not in results["given"]:
                texts = list(read_texts(data / f"{name}.jsonl", limit or None))
                tagged = tag_texts(texts, {**config, "labels": types[name]}, name)
                results["given"][name] = given_quality(tagged, seen)
                srsly.write_json(out, results)
    table = _markdown(results)
    print(table)
    if readme is not None:
        _replace(readme, table)
    msg.good(f"Results are in {out}")


def _begun(out: Path, run: Dict[str, Any]) -> Results:
    if not out.exists():
        return {"run": run, "machine": machine(), "open": {}, "given": {}}
    results = srsly.read_json(out)
    if results["run"] != run:
        msg.fail(f"{out} has results of another run: {results['run']}", "Name another --out", 1)
    return results


def _passages_by_language(folder: Path, part: str) -> Dict[str, List[Text]]:
    texts: Dict[str, List[Text]] = {}
    for passage in read_splits(folder)[part]:
        text = Text(passage.text, passage.entities, passage.lang)
        texts.setdefault(passage.lang, []).append(text)
    return texts


def _types_of(path: Path) -> Set[str]:
    """In prompts and in answers."""
    seen: Set[str] = set()
    for record in read_records(path):
        seen.update(record["types"] or (), record["output"].values())
    return seen


def _sha256(paths: List[Path]) -> str:
    """Of files one behind the other: what decides of the results."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _markdown(results: Results) -> str:
    part, limit = results["run"]["part"], results["run"]["limit"]
    lines = [f"Open types, {part} part of our passages:", ""]
    lines += _table("language", OPEN_COLUMNS, results["open"])
    if results["given"]:
        count = f"first {limit} texts" if limit else "all texts"
        lines += ["", f"Given types, {count} of each set, exact spans and types:", ""]
        rows = {**results["given"], **_means(results["given"])}
        lines += _table("corpus", GIVEN_COLUMNS, rows)
    return "\n".join([*lines, ""])


def _means(given: Results) -> Results:
    means = {}
    for title, sets in (("mean of CrossNER", CROSSNER), ("mean of the seven zero-shot", ZERO_SHOT)):
        if all(name in given for name in sets):
            scores = [given[name]["typed_f1"] for name in sets]
            means[f"**{title}**"] = {"typed_f1": round(sum(scores) / len(scores), 2)}
    if len(means) == 2:
        for name, size, score in PUBLISHED:
            means[f"{name} ({size}), as published"] = {"typed_f1": score}
    return means


def _table(first: str, columns: Dict[str, str], rows: Results) -> List[str]:
    lines = [f"| {first} | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for name, row in rows.items():
        cells = ("" if row.get(key) is None else str(row[key]) for key in columns.values())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _replace(path: Path, table: str) -> None:
    before, begin, rest = path.read_text("utf8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        msg.fail(f"{path} has no lines {_BEGIN.strip()} and {_END.strip()}", exits=1)
    path.write_text(f"{before}{begin}{table}{end}{after}", "utf8")


if __name__ == "__main__":
    typer.run(main)
