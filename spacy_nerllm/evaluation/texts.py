"""Texts with gold spans."""

from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional

import srsly

from .scorers import Span


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
