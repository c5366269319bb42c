"""Annotate some passages a second time, blind, and compare: how far does the guide carry?"""

import random
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

from ..errors import Errors
from .markup import Passage, write_markup


class Disagreement(NamedTuple):
    """A place that two annotators marked differently.

    id (str): The passage.
    surface (str): The words.
    first (str): Their type by the first annotator, or an empty string where not marked so.
    second (str): The same by the second.
    """

    id: str
    surface: str
    first: str
    second: str


def sample_evenly(passages: Iterable[Passage], count: int, seed: int) -> List[Passage]:
    """Choose passages by chance, each language and domain in proportion.

    passages (Iterable[Passage]): The passages.
    count (int): How many to choose, at most as many as there are.
    seed (int): Of the choice.
    RETURNS (List[Passage]): Those chosen, by language and domain.
    """
    shuffled = sorted(passages, key=lambda passage: passage.id)
    random.Random(seed).shuffle(shuffled)
    count = min(count, len(shuffled))
    shuffled.sort(key=lambda passage: (passage.lang, passage.domain))
    return [shuffled[index * len(shuffled) // count] for index in range(count)]


def write_passages(folder: Path, passages: Sequence[Passage], *, marked: bool = True) -> None:
    """Write passages as files of markup, `<lang>/<domain>.txt`.

    folder (Path): The folder, made where needed.
    passages (Sequence[Passage]): The passages.
    marked (bool): Whether with their entities, or blind.
    """
    files: Dict[Tuple[str, str], List[Passage]] = {}
    for passage in passages:
        files.setdefault((passage.lang, passage.domain), []).append(passage)
    for (lang, domain), of_file in files.items():
        lines = [f"# domain: {domain}  lang: {lang}"]
        for passage in of_file:
            entities = passage.entities if marked else []
            lines += [f"# id: {passage.id}", write_markup(passage.text, entities)]
        path = folder / lang / f"{domain}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(lines) + "\n", "utf8")


def pair_up(
    first: Iterable[Passage], second: Iterable[Passage]
) -> Iterator[Tuple[Passage, Passage]]:
    """Bring the two annotations of each passage together.

    first (Iterable[Passage]): All passages.
    second (Iterable[Passage]): Those that were annotated again.
    YIELDS (Tuple[Passage, Passage]): Both annotations.
    RAISES (ValueError): If one annotated again is not among the first, or its text was changed.
    """
    known = {passage.id: passage for passage in first}
    for passage in second:
        if passage.id not in known or known[passage.id].text != passage.text:
            raise ValueError(Errors.E019.format(id=passage.id))
        yield known[passage.id], passage


def disagreements(first: Passage, second: Passage) -> Iterator[Disagreement]:
    """List what two annotations of a passage mark differently.

    first (Passage): One annotation.
    second (Passage): The other.
    YIELDS (Disagreement): One for each span that they do not have in common, type included.
    """
    one = {(start, end): type_ for start, end, type_ in first.entities}
    two = {(start, end): type_ for start, end, type_ in second.entities}
    for start, end in sorted({*one, *two}):
        types = one.get((start, end), ""), two.get((start, end), "")
        if types[0] != types[1]:
            yield Disagreement(first.id, first.text[start:end], *types)
