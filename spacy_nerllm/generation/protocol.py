"""What a component needs of whatever generates: prompts in, answers with log-probabilities out."""

import math
from typing import List, NamedTuple, Optional, Protocol, Sequence

from ..entity_map import Prompt, Types
from .confidence import Confidence


class Answer(NamedTuple):
    """A generated answer.

    text (str): The answer, without the token that ends it.
    ends (List[int]): For each token of the answer, the offset in the text where it ends.
    logprobs (List[float]): For each token, its log-probability among those that were allowed.
    complete (bool): Whether it was ended before the limit on new tokens.
    looped (bool): Whether it was ended because the model only repeated itself. The repetitions are
        left out of the text, and the map is closed.
    """

    text: str
    ends: List[int]
    logprobs: List[float]
    complete: bool
    looped: bool = False

    def probability(self, start: int, end: int) -> float:
        """The joint probability of the tokens that write a part of the answer.

        start (int): Offset in the text where it begins.
        end (int): Offset where it ends.
        RETURNS (float): From 0 to 1.
        """
        begins = [0, *self.ends[:-1]]
        tokens = zip(begins, self.ends, self.logprobs, strict=True)
        return math.exp(sum(logprob for a, b, logprob in tokens if b > start and a < end))


class Generator(Protocol):
    """A base model with an adapter, wherever it runs.

    context_length (int): The most tokens of prompt and answer together.
    """

    context_length: int

    def render(self, text: str, types: Optional[Types]) -> Prompt:
        """Render the prompt that the adapter was trained with.

        text (str): The text to tag.
        types (Optional[Types]): The types to choose from, or None for open types.
        RETURNS (Prompt): The prompt.
        """
        ...

    def token_starts(self, text: str) -> List[int]:
        """Find where the model's tokens begin.

        text (str): Any text.
        RETURNS (List[int]): Offset of the first character of each token, in order.
        """
        ...

    def confidence(self, types: Optional[Types]) -> Confidence:
        """What turns the probability of an entity into a confidence.

        types (Optional[Types]): The types to choose from, or None for open types.
        RETURNS (Confidence): It.
        """
        ...

    def generate(
        self,
        prompts: Sequence[Prompt],
        types: Optional[Types],
        *,
        max_new_tokens: int,
        batch_tokens: int,
        constrain: bool = False,
    ) -> List[Answer]:
        """Answer prompts, greedily and deterministically.

        prompts (Sequence[Prompt]): The prompts.
        types (Optional[Types]): If given, each type in an answer is one of these.
        max_new_tokens (int): The most tokens of one answer.
        batch_tokens (int): About how many tokens of prompts and answers are held at once.
        constrain (bool): Whether an answer can be nothing but a strict map of surfaces of its text.
        RETURNS (List[Answer]): An answer for each prompt, in the same order.
        """
        ...
