"""Tag texts with nerllm and score what it finds: the common part of the benchmarks."""

import time
from typing import Any, Dict, List

import spacy
from corpora import Text
from tqdm import tqdm
from wasabi import msg

from spacy_nerllm.evaluation.scorers import score_spans

COUNTS = ("answers", "salvaged", "truncated", "looped", "unplaced", "conflicts")


def evaluate(name: str, texts: List[Text], config: Dict[str, Any]) -> Dict[str, Any]:
    """Score exact spans, with and without types, over all texts together.

    name (str): What the progress bar says.
    texts (List[Text]): Texts of one language.
    config (Dict[str, Any]): Of the component.
    RETURNS (Dict[str, Any]): Scores in percent, seconds, and what was wrong with answers.
    """
    nlp = spacy.blank(texts[0].lang)
    nerllm = nlp.add_pipe("nerllm", config={**config, "annotate": "ents"})
    nlp("Ada Lovelace wrote this.")  # Loads the model, which is not to be timed.
    nerllm.counts.clear()
    begin = time.perf_counter()
    docs = tqdm(nlp.pipe(text.text for text in texts), total=len(texts), desc=name)
    predicted = [[(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents] for doc in docs]
    seconds = time.perf_counter() - begin
    gold = [text.spans for text in texts]
    typed = score_spans(gold, predicted)
    counts = nerllm.counts
    return {
        "texts": len(texts),
        "precision": round(100 * typed.precision, 2),
        "recall": round(100 * typed.recall, 2),
        "typed_f1": round(100 * typed.f1, 2),
        "span_f1": round(100 * score_spans(gold, predicted, typed=False).f1, 2),
        "strict": round(100 * (1 - counts["salvaged"] / counts["answers"]), 2),
        "seconds": round(seconds, 1),
        **{name: counts[name] for name in COUNTS},
    }


def show_scores(results: Dict[str, Dict[str, Any]], name: str) -> None:
    """Print results as a table.

    results (Dict[str, Dict[str, Any]]): From `evaluate`, by what they are of.
    name (str): What they are of.
    """
    header = (name, "typed F1", "span F1", "precision", "recall", "strict %", "ended loops")
    keys = ("typed_f1", "span_f1", "precision", "recall", "strict", "looped")
    rows = [(of, *(result[key] for key in keys)) for of, result in results.items()]
    msg.table(rows, header=header, divider=True, aligns=("l", *"rrrrrr"))
