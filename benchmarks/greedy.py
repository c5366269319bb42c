"""Plain greedy decoding by transformers' own `generate`: what any faster decoding must equal."""

from typing import Any, List, NamedTuple, Optional, Sequence

import torch
from tokenizers.decoders import DecodeStream
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from spacy_nerllm.entity_map import Prompt, end_of_news
from spacy_nerllm.generation.encoding import encode_prompt
from spacy_nerllm.generation.type_choice import TypePosition, TypeTries


class Greedy(NamedTuple):
    """An answer.

    tokens (List[int]): Its tokens, with the one that ended it.
    logprobs (List[float]): Their log-probabilities.
    """

    tokens: List[int]
    logprobs: List[float]


def decode_greedily(
    model: PreTrainedModel,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    types: Optional[Sequence[str]],
    limit: int,
) -> List[Greedy]:
    """Decode a batch.

    model (PreTrainedModel): The model, its adapter merged.
    tokenizer (PreTrainedTokenizerBase): Its tokenizer.
    prompts (Sequence[Prompt]): The prompts.
    types (Optional[Sequence[str]]): The types to choose from, or None for open types.
    limit (int): The most tokens of an answer.
    RETURNS (List[Greedy]): The answers.
    """
    encoded = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    length = max(map(len, encoded))
    end = tokenizer.eos_token_id
    recorder, writer = _LogprobRecorder(), _Writer(tokenizer, [prompt.text for prompt in prompts])
    processors = LogitsProcessorList([recorder])
    if types is not None:
        processors.insert(0, _TypeChoice(TypeTries(tokenizer, types), writer))
    config = GenerationConfig(do_sample=False, eos_token_id=end, pad_token_id=end)
    with torch.inference_mode():
        output = model.generate(
            input_ids=torch.tensor([[end] * (length - len(ids)) + ids for ids in encoded]),
            attention_mask=torch.tensor(
                [[0] * (length - len(ids)) + [1] * len(ids) for ids in encoded]
            ),
            generation_config=config,
            max_new_tokens=limit,
            logits_processor=processors,
            stopping_criteria=StoppingCriteriaList([writer]),
        )
    return [
        _to_the_end(row[length:].tolist(), logprobs, writer.lengths[index])
        for index, (row, logprobs) in enumerate(zip(output, recorder.by_row(), strict=True))
    ]


def _to_the_end(tokens: List[int], logprobs: List[float], length: int) -> Greedy:
    """Without what pads it behind its end."""
    return Greedy(tokens[:length], logprobs[:length])


class _LogprobRecorder(LogitsProcessor):
    """Keeps the log-probability of the likeliest token, which greedy decoding takes.

    Keeping the scores of the whole vocabulary instead would take a gigabyte for a long batch.
    """

    def __init__(self) -> None:
        self._steps: List[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.float()
        self._steps.append(scores.amax(-1) - scores.logsumexp(-1))
        return scores

    def by_row(self) -> List[List[float]]:
        return torch.stack(self._steps, dim=1).tolist()


class _Writer(StoppingCriteria):
    """Decodes answers while they grow, and ends those that only repeat themselves, which would go
    on to the limit on new tokens.

    pieces (List[List[str]]): For each answer, what each of its tokens wrote.
    lengths (List[int]): How many tokens each has.
    """

    def __init__(self, tokenizer: Any, texts: Sequence[str]) -> None:
        self._texts = texts
        self._end = tokenizer.eos_token_id
        self._ended = [False] * len(texts)
        self.lengths = [0] * len(texts)
        self._backend = tokenizer.backend_tokenizer
        self._streams = [DecodeStream(skip_special_tokens=True) for _ in texts]
        self.pieces: List[List[str]] = [[] for _ in texts]

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        for row, token in enumerate(input_ids[:, -1].tolist()):
            if not self._ended[row]:
                self._add(row, token)
        return torch.tensor(self._ended, device=input_ids.device)

    def _add(self, row: int, token: int) -> None:
        self.lengths[row] += 1
        piece = self._streams[row].step(self._backend, token) or ""
        self.pieces[row].append(piece)
        # A pair is complete with a quote.
        looped = (
            '"' in piece and end_of_news("".join(self.pieces[row]), self._texts[row]) is not None
        )
        self._ended[row] = looped or token == self._end


class _TypeChoice(LogitsProcessor):
    """Masks all but the given types where an answer has a type."""

    def __init__(self, tries: TypeTries, writer: _Writer) -> None:
        self._tries = tries
        self._writer = writer
        self._rows = [TypePosition(tries) for _ in writer.pieces]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for row, position in enumerate(self._rows):
            if self._writer.pieces[row]:
                position.add(int(input_ids[row, -1]), self._writer.pieces[row][-1])
        return _mask_scores(self._rows, self._tries, scores.float())


def _mask_scores(positions: List[TypePosition], tries: TypeTries, scores: Any) -> Any:
    """Leave each row of scores only the tokens that may come next.

    positions (List[TypePosition]): Where each answer stands.
    tries (TypeTries): Of the given types.
    scores (torch.Tensor): Of shape (answers, vocabulary).
    RETURNS (torch.Tensor): The scores, others set to minus infinity.
    """
    forbidden = sorted(tries.forbidden)
    for row, position in enumerate(positions):
        allowed = position.allowed
        if allowed is None:
            scores[row, forbidden] = float("-inf")
        else:
            chosen = sorted(allowed)
            kept = scores[row, chosen]
            scores[row] = float("-inf")
            scores[row, chosen] = kept
    return scores
