"""Read evaluation corpora, and name the machine in results."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

import srsly

from spacy_nerllm.evaluation.scorers import Span


class Text(NamedTuple):
    """A text with its gold spans.

    text (str): The text.
    spans (List[Tuple[int, int, str]]): (start, end, type) in characters.
    lang (str): ISO 639-1 code.
    """

    text: str
    spans: List[Span]
    lang: str


def read_texts(path: Path, limit: Optional[int] = None) -> Iterator[Text]:
    """Read JSONL of {"text", "entities": [[start, end, type], ...], "lang"}.

    path (Path): The file.
    limit (Optional[int]): The most texts to read.
    YIELDS (Text): The texts.
    """
    for number, line in enumerate(srsly.read_jsonl(path)):
        if limit is not None and number >= limit:
            return
        yield Text(line["text"], [tuple(span) for span in line["entities"]], line["lang"])


def machine() -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): Processor and versions, to be kept with results."""
    packages = ("spacy_nerllm", "spacy", "transformers", "torch")
    cpu = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": f"{len(cpu)} x {cpu[0]}" if cpu else platform.processor(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
