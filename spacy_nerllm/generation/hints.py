"""What a pass shows beyond a guess that did not hold.

Behind a wrong type the model still says how it would go on, and nine times of ten the type that it
would give the next name is the one that it gives in the end. Jacobi decoding (Santilli et al.,
2023, https://arxiv.org/abs/2305.10427) finds whole answers so.
"""

import re
from typing import Dict, Optional

from .strings import STRING, unescape

_TYPE_NEXT = re.compile(rf'{STRING}: "$')
_NAME_NEXT = re.compile(rf'{STRING}: {STRING}, "$')
_IN_TYPE = re.compile(rf'{STRING}: "(?:[^"\\]|\\.)+$')


class Hints:
    """How the model would go on behind the names of one text."""

    def __init__(self) -> None:
        self._types: Dict[str, str] = {}
        self._following: Dict[str, str] = {}

    def learn(self, written: str, piece: str) -> None:
        """Take in what the model would write.

        written (str): The end of the answer that it was shown.
        piece (str): What would follow.
        """
        if match := _TYPE_NEXT.search(written):
            self._types[unescape(match[1])] = piece
        elif match := _NAME_NEXT.search(written):
            self._following[unescape(match[1])] = piece
        elif piece.startswith('"}') and (match := _IN_TYPE.search(written)):
            self._following[unescape(match[1])] = ""

    def type_of(self, name: str) -> str:
        """RETURNS (str): How the type of a name begins, or an empty string.

        name (str): The name.
        """
        return self._types.get(name, "")

    def following(self, name: str) -> Optional[str]:
        """RETURNS (Optional[str]): How the name behind this one begins; an empty string if the map
            ends there, None if nothing is known.

        name (str): The name.
        """
        return self._following.get(name)
