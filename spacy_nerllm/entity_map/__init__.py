"""The one contract between text, prompt, JSON answer and spans.

Tagging, training, labelling and evaluation all render prompts, read answers and
place surfaces through this package, so that they cannot drift apart. It imports
no model library and no spaCy: it works on text and token offsets alone.
"""

from .align import Alignment, PlacedSpan, align_pairs
from .codec import EntityMap, Pair, end_of_news, pairs_from_spans, read_answer, write_answer
from .prompt import FORMAT_VERSION, SYSTEM_PROMPT, Prompt, Types, check_types, render_prompt
from .windows import split_windows

__all__ = [
    "FORMAT_VERSION",
    "SYSTEM_PROMPT",
    "Alignment",
    "EntityMap",
    "Pair",
    "PlacedSpan",
    "Prompt",
    "Types",
    "align_pairs",
    "check_types",
    "end_of_news",
    "pairs_from_spans",
    "read_answer",
    "render_prompt",
    "split_windows",
    "write_answer",
]
