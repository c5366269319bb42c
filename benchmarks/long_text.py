"""Memory and speed of `python -m spacy_nerllm tag` on texts of several lengths."""

import resource
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any, Dict, List

import srsly
import typer
from wasabi import msg

from spacy_nerllm.corpus.markup import read_folder
from spacy_nerllm.evaluation.machine import machine

WORDS_OF_A_PAGE = 500


def write_text(path: Path, passages: Path, pages: int) -> int:
    """Write passages one below the other until the pages are full."""
    words = 0
    with path.open("w", encoding="utf8") as file:
        for passage in cycle(read_folder(passages)):
            file.write(f"{passage.text}\n\n")
            words += len(passage.text.split())
            if words >= WORDS_OF_A_PAGE * pages:
                return words


def measure(passages: Path, pages: int) -> Dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        text, tagged = Path(folder) / "text.txt", Path(folder) / "tagged.jsonl"
        words = write_text(text, passages, pages)
        command = [sys.executable, "-m", "spacy_nerllm", "tag", str(text), "--output", str(tagged)]
        begin = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - begin
        entities = sum(len(line["ents"]) for line in srsly.read_jsonl(tagged))
    # The largest child so far, in KiB: texts are measured from the shortest to the longest.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "pages": pages,
        "words": words,
        "entities": entities,
        "seconds": round(seconds, 1),
        "words_per_second": round(words / seconds, 1),
        "peak_mb": round(peak / 1024),
    }


def main(
    pages: Annotated[List[int], typer.Option(help="Lengths in pages of 500 words")] = (5, 20),
    passages: Annotated[Path, typer.Option(help="Folder of passages in markup")] = Path(
        "assets/open_types"
    ),
    out: Annotated[Path, typer.Option(help="Where to write the results")] = Path(
        "benchmarks/long_text.json"
    ),
) -> None:
    results = [measure(passages, length) for length in sorted(pages)]
    srsly.write_json(out, {"machine": machine(), "texts": results})
    msg.table([list(result.values()) for result in results], header=list(results[0]), divider=True)


if __name__ == "__main__":
    typer.run(main)
