"""Strings of JSON in answers that are not whole yet."""

import json

# One string, its inside as a group.
STRING = r'"((?:[^"\\]|\\.)*)"'


def escape(text: str) -> str:
    """RETURNS (str): The inside of a string of JSON.

    text (str): What it says.
    """
    return json.dumps(text, ensure_ascii=False)[1:-1]


def unescape(text: str) -> str:
    """RETURNS (str): What a string of JSON says, or the text itself if it is none.

    text (str): The inside of the string.
    """
    try:
        return json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
