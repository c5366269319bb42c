"""Tag texts with nerllm, keeping what is needed to score it."""

import time
from collections import Counter
from typing import Any, Dict, List, NamedTuple, Sequence

import spacy
from spacy.tokens import Doc
from tqdm import tqdm

from .scorers import Span
from .texts import Text


class Tagged(NamedTuple):
    """Texts as they are and as they were tagged.

    gold (List[List[Span]]): Gold spans of each text.
    predicted (List[List[Span]]): Predicted spans of each text.
    scores (List[List[float]]): Scores of the predicted spans.
    counts (Counter): What was wrong with answers, see `NerLLM.counts`.
    seconds (float): How long it took, without loading the model.
    """

    gold: List[List[Span]]
    predicted: List[List[Span]]
    scores: List[List[float]]
    counts: Counter
    seconds: float


def tag_texts(texts: Sequence[Text], config: Dict[str, Any], name: str) -> Tagged:
    """Tag texts.

    texts (Sequence[Text]): Texts of one language, at least one.
    config (Dict[str, Any]): Of the component.
    name (str): What the progress bar says.
    RETURNS (Tagged): The texts and what was found.
    """
    nlp = spacy.blank(texts[0].lang)
    nerllm = nlp.add_pipe("nerllm", config={**config, "annotate": "both"})
    nlp("Ada Lovelace wrote this.")  # Loads the model, which is not to be timed.
    nerllm.counts.clear()
    begin = time.perf_counter()
    docs = list(tqdm(nlp.pipe(text.text for text in texts), total=len(texts), desc=name))
    seconds = time.perf_counter() - begin
    return Tagged(
        [text.spans for text in texts],
        [[(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents] for doc in docs],
        [_scores(doc, nerllm.settings.spans_key) for doc in docs],
        nerllm.counts,
        seconds,
    )


def _scores(doc: Doc, key: str) -> List[float]:
    group = doc.spans[key]
    of = {(span.start, span.end): s for span, s in zip(group, group.attrs["scores"], strict=True)}
    return [of[ent.start, ent.end] for ent in doc.ents]
