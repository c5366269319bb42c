"""Mix passages and corpora into train.jsonl and val.jsonl."""

import random
from collections import Counter
from pathlib import Path
from typing import Annotated, Dict, List, Optional

import srsly
import typer
from wasabi import msg

from spacy_nerllm.corpus.assemble import part_passages
from spacy_nerllm.corpus.mixture import PassageUse, Size, mix, passage_records, read_mixture
from spacy_nerllm.corpus.records import Record, write_records
from spacy_nerllm.corpus.type_names import read_type_names, with_kinds


def main(
    out: Annotated[Path, typer.Argument(help="Folder for train.jsonl and val.jsonl")],
    mixture: Annotated[Path, typer.Option(help="What to take of which, JSON")] = Path(
        "configs/mixture.json"
    ),
    passages: Annotated[Path, typer.Option(help="Folder of passages in markup")] = Path(
        "assets/open_types"
    ),
    names: Annotated[Path, typer.Option(help="Broader types and synonyms")] = Path(
        "assets/type_names.json"
    ),
    finer: Annotated[Optional[Path], typer.Option(help="Finer types by passage, JSON")] = None,
    corpora: Annotated[
        Optional[Path], typer.Option(help="Folder of corpora, JSONL; without it passages only")
    ] = None,
    model_name: Annotated[
        str, typer.Option(help="Base model, whose tokens count where corpora are mixed in")
    ] = "smollm2-135m",
    val_part: Annotated[
        float, typer.Option(help="Part of the passages to validate on, if they fix none")
    ] = 0.06,
    limit: Annotated[int, typer.Option(help="Train only on so many passages, 0 for all")] = 0,
    val_limit: Annotated[int, typer.Option(help="Validate only on so many, 0 for all")] = 0,
    seed: Annotated[int, typer.Option(help="Of order and choices")] = 0,
) -> None:
    rng = random.Random(seed)
    settings = read_mixture(mixture)
    type_names = read_type_names(names)
    finer_types = srsly.read_json(finer) if finer else {}
    train_passages, val_passages = part_passages(passages, val_part, rng)
    type_names = with_kinds(type_names, train_passages, finer_types)
    use = settings.passages
    once = PassageUse(open=min(use.open, 1), noisy=0, given=min(use.given, 1))
    train = passage_records(train_passages[: limit or None], use, type_names, finer_types, rng)
    val = passage_records(val_passages[: val_limit or None], once, type_names, finer_types, rng)
    if corpora is None:
        settings = settings.model_copy(update={"corpora": {}, "languages": {}, "caps": []})
    size = _tokens_of(model_name) if corpora else _characters
    parts = mix(settings, (train, val), corpora or Path(), type_names, size, seed)
    write_records(out / "train.jsonl", parts.train)
    write_records(out / "val.jsonl", parts.val)
    _show(parts.train, size, "tokens" if corpora else "characters")
    msg.good(f"{len(parts.train)} records to train on, {len(parts.val)} to validate on, in {out}")


def _characters(record: Record) -> int:
    return len(record["input"])


def _tokens_of(model_name: str) -> Size:
    """Prompt and answer as a model is trained on them."""
    from spacy_nerllm.entity_map import SYSTEM_PROMPT
    from spacy_nerllm.generation.checkpoints import resolve_base
    from spacy_nerllm.generation.encoding import load_tokenizer
    from spacy_nerllm.training.examples import encode_record

    tokenizer = load_tokenizer(resolve_base(model_name).path)
    # By identity: it is asked for again and again, and no record is made or lost meanwhile.
    known: Dict[int, int] = {}

    def size(record: Record) -> int:
        if id(record) not in known:
            known[id(record)] = encode_record(record, tokenizer, SYSTEM_PROMPT)["length"]
        return known[id(record)]

    return size


def _show(records: List[Record], size: Size, unit: str) -> None:
    for key in ("lang", "source"):
        sizes: Counter = Counter()
        for record in records:
            sizes[record[key].partition("/")[0]] += size(record)
        total = sum(sizes.values())
        rows = [
            (name, count, f"{100 * count / total:.1f} %") for name, count in sizes.most_common()
        ]
        msg.table(rows, header=(key, unit, "part"), divider=True, aligns=("l", "r", "r"))


if __name__ == "__main__":
    typer.run(main)
