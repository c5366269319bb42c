"""The parts of a folder of passages: what to train on, to choose on, and to test on."""

from pathlib import Path
from typing import Dict, List

import srsly

from ..errors import Errors
from .markup import Passage, read_folder

PARTS = ("train", "dev", "test")

_FILE = "splits.json"


def has_splits(folder: Path) -> bool:
    """Whether a folder fixes its parts.

    folder (Path): Passages in markup, see `read_folder`.
    RETURNS (bool): Whether it has a file splits.json.
    """
    return (folder / _FILE).is_file()


def read_splits(folder: Path) -> Dict[str, List[Passage]]:
    """Read the passages of a folder that fixes its parts.

    folder (Path): Passages in markup, and splits.json with the ids of "dev" and of "test". All
        others are to train on.
    RETURNS (Dict[str, List[Passage]]): "train", "dev" and "test".
    RAISES (ValueError): As `read_folder`, and if an id of splits.json is in two parts or names no
        passage.
    """
    ids = srsly.read_json(folder / _FILE)
    part_of: Dict[str, str] = {}
    for part in ("dev", "test"):
        for id_ in ids[part]:
            if part_of.setdefault(id_, part) != part:
                raise ValueError(Errors.E017.format(path=folder / _FILE, id=id_))
    parts: Dict[str, List[Passage]] = {part: [] for part in PARTS}
    for passage in read_folder(folder):
        parts[part_of.pop(passage.id, "train")].append(passage)
    if part_of:
        raise ValueError(Errors.E018.format(path=folder / _FILE, ids=sorted(part_of)[:5]))
    return parts
