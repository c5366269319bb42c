"""Plain greedy decoding by transformers' own `generate`: what any faster decoding must equal."""

from typing import Any, List, Optional, Sequence, Tuple

import torch
from tokenizers.decoders import DecodeStream
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from spacy_nerllm.entity_map import end_of_news
from spacy_nerllm.generation.encoding import encode_prompt
from spacy_nerllm.generation.local import LocalGenerator
from spacy_nerllm.generation.type_choice import TypePosition, TypeTries


def greedy_tokens(
    model: Any, generator: LocalGenerator, text: str, types: Optional[Sequence[str]], limit: int
) -> Tuple[List[int], List[float]]:
    """Decode one text alone.

    RETURNS (Tuple[List[int], List[float]]): Its tokens with their log-probabilities.
    """
    tokenizer = generator._tokenizer
    prompt = encode_prompt(tokenizer, generator.render(text, types))
    recorder, writer = _LogprobRecorder(), _Writer(tokenizer, [text])
    processors = LogitsProcessorList([recorder])
    if types is not None:
        processors.insert(0, _TypeChoice(TypeTries(tokenizer, types), writer))
    config = GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id
    )
    with torch.inference_mode():
        output = model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones((1, len(prompt)), dtype=torch.long),
            generation_config=config,
            max_new_tokens=limit,
            logits_processor=processors,
            stopping_criteria=StoppingCriteriaList([writer]),
        )
    return output[0, len(prompt) :].tolist(), recorder.by_row()[0]


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
    """

    def __init__(self, tokenizer: Any, texts: Sequence[str]) -> None:
        self._texts = texts
        self._backend = tokenizer.backend_tokenizer
        self._streams = [DecodeStream(skip_special_tokens=True) for _ in texts]
        self.pieces: List[List[str]] = [[] for _ in texts]

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        ended = [self._add(row, token) for row, token in enumerate(input_ids[:, -1].tolist())]
        return torch.tensor(ended, device=input_ids.device)

    def _add(self, row: int, token: int) -> bool:
        piece = self._streams[row].step(self._backend, token) or ""
        self.pieces[row].append(piece)
        # A pair is complete with a quote.
        return '"' in piece and end_of_news("".join(self.pieces[row]), self._texts[row]) is not None


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
