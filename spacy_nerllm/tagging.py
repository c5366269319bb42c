"""From docs to spans: windows, prompts, generation, entity map, placement."""

import logging
from collections import Counter
from typing import TYPE_CHECKING, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

import numpy
from spacy.pipeline.sentencizer import Sentencizer
from spacy.tokens import Doc

from .entity_map import EntityMap, align_pairs, read_answer, split_windows
from .entity_map.prompt import Prompt
from .errors import Errors, Warnings
from .settings import Settings

if TYPE_CHECKING:
    from .generation.confidence import Confidence
    from .generation.protocol import Answer, Generator

logger = logging.getLogger("spacy_nerllm")

_sentencizer = Sentencizer()


class Window(NamedTuple):
    """A part of a doc that is one prompt.

    first (int): Its first token.
    last (int): The token after its last.
    start (int): Offset of its first character in the doc.
    prompt (Prompt): The prompt for it.
    """

    first: int
    last: int
    start: int
    prompt: Prompt


class ScoredSpan(NamedTuple):
    """An entity.

    start (int): Offset of its first character in the doc.
    end (int): Offset after its last character.
    type (str): Its type, as the model wrote it.
    score (float): Confidence in surface and type together: about the part of such entities that
        are right.
    """

    start: int
    end: int
    type: str
    score: float


class Prediction(NamedTuple):
    """What was found in one doc.

    spans (List[ScoredSpan]): Every occurrence, by start; they may overlap.
    exchanges (List[Tuple[Window, str]]): Each window with the model's answer.
    """

    spans: List[ScoredSpan]
    exchanges: List[Tuple[Window, str]]


def tag_docs(
    docs: Sequence[Doc], generator: "Generator", settings: Settings, counts: Counter
) -> List[Prediction]:
    """Find the entities of docs. The docs are not changed.

    docs (Sequence[Doc]): The docs.
    generator (Generator): Answers the prompts.
    settings (Settings): The component's settings.
    counts (Counter): Gets how many "answers" there were, how many of them were "salvaged",
        "truncated" or "looped", how many surfaces were "unplaced" or in "conflicts", and how many
        windows were "skipped" since they are one token that is too long for the model.
    RETURNS (List[Prediction]): One for each doc.
    RAISES (ValueError): If the prompt and max_new_tokens leave the model no room for a text.
    """
    room = _room_for_text(generator, settings)
    windows = [list(_windows(doc, room, generator, settings, counts)) for doc in docs]
    answers = iter(
        generator.generate(
            [window.prompt for per_doc in windows for window in per_doc],
            settings.labels,
            max_new_tokens=settings.max_new_tokens,
            batch_tokens=settings.batch_tokens,
            constrain=settings.constrain,
        )
    )
    confidence = generator.confidence(settings.labels)
    predictions = []
    for doc, per_doc in zip(docs, windows, strict=True):
        exchanges = [(window, next(answers)) for window in per_doc]
        spans = [
            span
            for window, answer in exchanges
            for span in _read_spans(doc, window, answer, confidence, settings, counts)
        ]
        texts = [(window, answer.text) for window, answer in exchanges]
        predictions.append(Prediction(spans, texts))
    return predictions


def _room_for_text(generator: "Generator", settings: Settings) -> int:
    """How many tokens the base model can take beside prompt and answer."""
    empty = generator.render("", settings.labels)
    prompt = sum(len(generator.token_starts(piece)) for piece in empty)
    room = generator.context_length - prompt - settings.max_new_tokens
    if room <= 0:
        raise ValueError(
            Errors.E043.format(
                limit=settings.max_new_tokens, context=generator.context_length, prompt=prompt
            )
        )
    return room


def _windows(
    doc: Doc, room: int, generator: "Generator", settings: Settings, counts: Counter
) -> Iterator[Window]:
    if not doc.text.strip():
        return
    starts = generator.token_starts(doc.text)
    offsets = [token.idx for token in doc]
    # A model token belongs to the doc's token in which it begins; the first to the first.
    bounds = numpy.searchsorted(starts, [0, *offsets[1:], len(doc.text)])
    costs = numpy.diff(bounds).tolist()
    budget = min(settings.max_window_tokens, room)
    for first, last in split_windows(costs, _sentence_starts(doc), budget):
        start, end = doc[first].idx, doc[last - 1].idx + len(doc[last - 1])
        text = doc.text[start:end]
        tokens = sum(costs[first:last])
        if tokens > room:
            where = _name(doc, start, end)
            logger.warning(Warnings.W004.format(where=where, tokens=tokens, limit=room))
            counts["skipped"] += 1
        elif text.strip():
            yield Window(first, last, start, generator.render(text, settings.labels))


def _sentence_starts(doc: Doc) -> List[bool]:
    if doc.has_annotation("SENT_START"):
        return [bool(token.is_sent_start) for token in doc]
    return _sentencizer.predict([doc])[0]


def _read_spans(
    doc: Doc,
    window: Window,
    answer: "Answer",
    confidence: "Confidence",
    settings: Settings,
    counts: Counter,
) -> Iterable[ScoredSpan]:
    """Place one answer's entities, and count and log what was wrong with it."""
    end = window.start + len(window.prompt.text)
    entity_map = read_answer(answer.text)
    tokens = [
        (token.idx - window.start, token.idx - window.start + len(token))
        for token in doc[window.first : window.last]
    ]
    pairs = [(pair.surface, pair.type) for pair in entity_map.pairs]
    alignment = align_pairs(window.prompt.text, pairs, tokens)
    _report(_name(doc, window.start, end), answer, entity_map, settings)
    counts.update(
        answers=1,
        salvaged=int(entity_map.salvaged),
        truncated=int(not answer.complete),
        looped=int(answer.looped),
        conflicts=len(entity_map.conflicts),
        unplaced=len(alignment.unplaced),
    )
    for span in alignment.spans:
        pair = entity_map.pairs[span.pair]
        score = confidence(answer.probability(pair.start, pair.end))
        if score >= settings.threshold:
            yield ScoredSpan(window.start + span.start, window.start + span.end, span.type, score)


def _report(where: str, answer: "Answer", entity_map: EntityMap, settings: Settings) -> None:
    if answer.looped:
        logger.warning(Warnings.W008.format(where=where, pairs=len(entity_map.pairs)))
    if not answer.complete:
        logger.warning(Warnings.W003.format(where=where, limit=settings.max_new_tokens))
    elif entity_map.salvaged:
        logger.warning(Warnings.W001.format(where=where, answer=answer.text))
    for surface, kept, dropped in entity_map.conflicts:
        logger.warning(
            Warnings.W002.format(where=where, surface=surface, kept=kept, dropped=dropped)
        )


def _name(doc: Doc, start: int, end: int) -> str:
    return f"characters {start} to {end} of {doc.text[:40]!r}"
