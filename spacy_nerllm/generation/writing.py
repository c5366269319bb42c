"""One answer while it is written: its tokens, what may follow, and when it ends."""

from bisect import bisect_left
from itertools import accumulate
from typing import Any, Collection, List, Optional, Sequence, Union

import torch
from tokenizers.decoders import DecodeStream

from ..entity_map import end_of_news, read_answer
from .constraint import Constraint
from .drafts import Drafter
from .protocol import Answer
from .type_choice import TypePosition


class Writing:
    """Takes the likeliest token that is allowed, until the answer ends.

    tokens (List[int]): The tokens so far.
    ended (bool): Whether it is at its end: by the end of turn, by the limit, or by a loop.
    """

    def __init__(
        self,
        tokenizer: Any,
        text: str,
        drafter: Drafter,
        position: Union[TypePosition, Constraint, None],
        max_new_tokens: int,
    ) -> None:
        """tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
        text (str): The text that the answer is about.
        drafter (Drafter): Guesses what follows.
        position (Union[TypePosition, Constraint, None]): Knows which tokens may come next; None
            for any.
        max_new_tokens (int): The most tokens.
        """
        self._backend = tokenizer.backend_tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._text = text
        self._end = tokenizer.eos_token_id
        self._limit = max_new_tokens
        self._drafter = drafter
        self._position = position
        self._pieces: List[str] = []
        self._logprobs: List[float] = []
        # Where only the score is known, not yet what all scores come to.
        self._unnormalized: List[int] = []
        self.tokens: List[int] = []
        self.ended = False

    def choose(self, scores: torch.Tensor, likeliest: int, score: float) -> int:
        """Choose the next token.

        scores (torch.Tensor): Of the vocabulary, of shape (vocabulary).
        likeliest (int): Id of the likeliest token, where any may stand.
        score (float): Its score.
        RETURNS (int): The id of the next token.
        """
        allowed = self._allowed_instead(likeliest)
        if allowed is not None and len(allowed):
            # Of equals the first is taken, as among all tokens.
            ids = sorted(allowed) if isinstance(allowed, set) else allowed
            scores = scores[ids]
            best = int(scores.argmax())
            likeliest, score = int(ids[best]), float(scores[best] - scores.logsumexp(-1))
        else:
            self._unnormalized.append(len(self.tokens))
        self._logprobs.append(score)
        self._add(likeliest)
        return likeliest

    def _allowed_instead(self, likeliest: int) -> Optional[Collection[int]]:
        """What may stand, or None where the likeliest may, as it nearly always does in a trained
        adapter's answer under a constraint.
        """
        if isinstance(self._position, Constraint) and self._position.allows(likeliest):
            return None
        return self._position.allowed if self._position else None

    def normalize(self, scores: torch.Tensor) -> None:
        """Make log-probabilities of the scores of the last tokens.

        scores (torch.Tensor): What they were chosen from, of shape (tokens, vocabulary).
        """
        if self._unnormalized:
            totals = scores.logsumexp(-1).tolist()
            first = len(self.tokens) - len(totals)
            for index in self._unnormalized:
                self._logprobs[index] = min(0.0, self._logprobs[index] - totals[index - first])
            self._unnormalized.clear()

    def _add(self, token: int) -> None:
        self.tokens.append(token)
        piece = ""
        if token != self._end:
            piece = self._stream.step(self._backend, token) or ""
            self._drafter.add(token, piece)
        if self._position:
            self._position.add(token, piece)
        self._pieces.append(piece)
        # A pair is complete with a quote.
        looped = '"' in piece and end_of_news("".join(self._pieces), self._text) is not None
        self.ended = token == self._end or looped or len(self.tokens) == self._limit

    def propose(self, most: int) -> List[int]:
        """Guess the next tokens.

        most (int): How many at the most.
        RETURNS (List[int]): Their ids.
        """
        guess = self._drafter.propose(max(0, min(most, self._limit - len(self.tokens) - 1)))
        return self._position.mend(guess) if isinstance(self._position, Constraint) else guess

    def learn(self, guesses: Sequence[int], held: int, following: Sequence[int]) -> None:
        """As `Drafter.learn`."""
        self._drafter.learn(guesses, held, following)

    def answer(self) -> Answer:
        """RETURNS (Answer): The answer, without its end of turn and without repetitions."""
        complete = self.tokens[-1:] == [self._end]
        length = len(self.tokens) - complete
        text = "".join(self._pieces)
        ends = list(accumulate(map(len, self._pieces[:length])))
        end = end_of_news(text, self._text)
        if end is not None:
            return self._cut(text, ends, end, complete=True, looped=True)
        if isinstance(self._position, Constraint) and not complete:
            pairs = read_answer(text).pairs
            return self._cut(text, ends, pairs[-1].end if pairs else 1, complete=False)
        return Answer(text, ends, self._logprobs[:length], complete)

    def _cut(self, text: str, ends: List[int], end: int, **marks: bool) -> Answer:
        """End the map behind its pair that ends there."""
        kept = bisect_left(ends, end) + 1
        return Answer(f"{text[:end] or '{'}}}", ends[:kept], self._logprobs[:kept], **marks)
