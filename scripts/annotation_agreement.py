"""Choose passages to be annotated a second time, blind, and compare both annotations."""

from pathlib import Path
from typing import Annotated, Dict, List, Optional, Tuple

import srsly
import typer
from wasabi import msg

from spacy_nerllm.corpus.agreement import disagreements, pair_up, sample_evenly, write_passages
from spacy_nerllm.corpus.markup import Passage, read_folder
from spacy_nerllm.evaluation.scorers import score_spans

app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.command()
def choose(
    out: Annotated[Path, typer.Argument(help="Folder for the passages without their marks")],
    passages: Annotated[Path, typer.Option(help="Folder of passages in markup")] = Path(
        "assets/open_types"
    ),
    count: Annotated[int, typer.Option(help="How many passages")] = 300,
    seed: Annotated[int, typer.Option(help="Of the choice")] = 7,
) -> None:
    """Choose passages over all languages and domains, and write them without marks."""
    chosen = sample_evenly(read_folder(passages), count, seed)
    write_passages(out, chosen, marked=False)
    msg.good(f"{len(chosen)} passages in {out}")


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="Folder of the first annotation")] = Path(
        "assets/agreement/first"
    ),
    second: Annotated[Path, typer.Argument(help="Folder of the second")] = Path(
        "assets/agreement/second"
    ),
    details: Annotated[
        Optional[Path], typer.Option(help="Where to list the disagreements, JSONL")
    ] = None,
) -> None:
    """Compare both annotations: exact spans, with and without their types."""
    pairs = list(pair_up(read_folder(first), read_folder(second)))
    groups: Dict[str, List[Tuple[Passage, Passage]]] = {}
    for pair in pairs:
        groups.setdefault(pair[0].lang, []).append(pair)
    groups["all"] = pairs
    rows = [(name, len(group), *_f1(group)) for name, group in groups.items()]
    msg.table(rows, header=("language", "passages", "span F1", "typed F1"), divider=True)
    if details:
        found = [item._asdict() for pair in pairs for item in disagreements(*pair)]
        srsly.write_jsonl(details, found)
        msg.info(f"{len(found)} disagreements in {details}")


def _f1(pairs: List[Tuple[Passage, Passage]]) -> Tuple[str, str]:
    first, second = ([pair[side].entities for pair in pairs] for side in (0, 1))
    spans, typed = (score_spans(first, second, typed=typed).f1 for typed in (False, True))
    return f"{spans:.3f}", f"{typed:.3f}"


if __name__ == "__main__":
    app()
