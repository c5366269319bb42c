"""The record: one text with its entity map, as a line of JSON that training reads."""

from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, TypedDict, Union

import srsly

from ..errors import Errors


class Record(TypedDict):
    """A training example.

    input (str): The text.
    output (Dict[str, str]): Surface to type, in the order of the answer.
    types (Union[List[str], Dict[str, str], None]): The types given in the prompt, or each with a
        description, which may be empty; None for open types.
    lang (str): ISO 639-1 code.
    source (str): The corpus it comes from.
    """

    input: str
    output: Dict[str, str]
    types: Union[List[str], Dict[str, str], None]
    lang: str
    source: str


def read_records(path: Path) -> Iterator[Record]:
    """Read records from a JSONL file.

    path (Path): The file.
    YIELDS (Record): Its records; types, lang and source may be absent in the file.
    RAISES (ValueError): With file and line, if a line is not a record.
    """
    with path.open(encoding="utf8") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            line = _parse(text)
            problem = _problem_of(line)
            if problem:
                raise ValueError(Errors.E012.format(path=path, line=number, problem=problem))
            yield Record(
                input=line["input"],
                output=line["output"],
                types=line.get("types"),
                lang=line.get("lang", "xx"),
                source=line.get("source", ""),
            )


def _parse(text: str) -> Any:
    try:
        return srsly.json_loads(text)
    except ValueError:
        return text


def _problem_of(line: object) -> Optional[str]:
    if not isinstance(line, dict):
        return f"{line!r} is no JSON object"
    text, output, types = line.get("input"), line.get("output"), line.get("types")
    if not isinstance(text, str):
        return f"'input' is {text!r}, but must be a string"
    if not isinstance(output, dict) or not all(isinstance(value, str) for value in output.values()):
        return f"'output' is {output!r}, but must map surfaces to types"
    strings = [*types, *(types.values() if isinstance(types, dict) else ())] if types else []
    if types is not None and not (
        isinstance(types, (list, dict)) and types and all(isinstance(name, str) for name in strings)
    ):
        return f"'types' is {types!r}, but must be null, a list of strings or map them to strings"
    return None


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records to a JSONL file, making its folder where needed.

    path (Path): The file.
    records (Iterable[Record]): The records.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    srsly.write_jsonl(path, records)
