"""From predictions to what stands on a doc: entities, span groups, prompts and answers."""

from typing import Any, Dict, List

from spacy.pipeline.span_ruler import prioritize_existing_ents_filter
from spacy.tokens import Doc, Span, SpanGroup

from .settings import Settings
from .tagging import Prediction


def annotate(doc: Doc, prediction: Prediction, settings: Settings, name: str) -> None:
    """Set doc.ents and doc.spans. Entities that a doc already has are kept, and no entity is set
    where one was blocked.

    doc (Doc): The doc.
    prediction (Prediction): What was found in it.
    settings (Settings): The component's settings.
    name (str): The component's name in the pipeline.
    """
    spans = [
        doc.char_span(found.start, found.end, label=settings.rename(found.type))
        for found in prediction.spans
    ]
    if settings.annotate != "ents":
        scores = [found.score for found in prediction.spans]
        doc.spans[settings.spans_key] = SpanGroup(
            doc, name=settings.spans_key, spans=spans, attrs={"scores": scores}
        )
    if settings.annotate != "spans":
        _set_ents(doc, spans)
    if settings.save_io:
        doc.user_data.setdefault("nerllm_io", {})[name] = _io(prediction)


def _set_ents(doc: Doc, spans: List[Span]) -> None:
    blocked = {token.i for token in doc if token.ent_iob_ == "B" and not token.ent_type}
    free = [span for span in spans if blocked.isdisjoint(range(span.start, span.end))]
    doc.set_ents(
        prioritize_existing_ents_filter(doc.ents, free),
        blocked=[doc[i : i + 1] for i in sorted(blocked)],
        default="outside",
    )


def _io(prediction: Prediction) -> List[Dict[str, Any]]:
    return [
        {"start": window.start, "prompt": "".join(window.prompt), "answer": answer}
        for window, answer in prediction.exchanges
    ]
