"""The component in spaCy's own loops, and at its start."""

import os
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest
from conftest import BANK, BANK_ANSWER, CURIE, MakePipe, ents_of
from spacy.language import Language
from spacy.training import Example


def _example(nlp: Language, text: str, ents: List[Tuple[int, int, str]]) -> Example:
    return Example.from_dict(nlp.make_doc(text), {"entities": ents})


def test_spacy_evaluates_it(make_pipe: MakePipe):
    nlp, _ = make_pipe({CURIE: '{"Marie Curie": "person", "Warsaw": "person"}'})
    gold = [(0, 11, "person"), (24, 30, "place"), (32, 43, "person"), (52, 58, "place")]
    scores = nlp.evaluate([_example(nlp, CURIE, gold)])
    assert scores["ents_p"] == pytest.approx(2 / 3)
    assert scores["ents_r"] == pytest.approx(2 / 4)
    assert set(scores["ents_per_type"]) == {"person", "place"}


def test_a_text_rightly_without_entities_spoils_no_score(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: '{"London": "place"}'})
    examples = [_example(nlp, BANK, [(26, 32, "place")]), _example(nlp, "Nothing.", [])]
    assert nlp.evaluate(examples)["ents_f"] == 1.0


def test_initialize_does_nothing(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: BANK_ANSWER})
    nlp.initialize()
    nlp.initialize(lambda: [_example(nlp, BANK, [(26, 32, "place")])])
    assert ("London", "place") in ents_of(nlp(BANK))


def test_update_says_what_to_do(make_pipe: MakePipe):
    nlp, _ = make_pipe({})
    nlp.initialize()
    with pytest.raises(NotImplementedError, match="train_ner_lora_accelerate.py"):
        nlp.update([_example(nlp, BANK, [(26, 32, "place")])])


def _modules_after(statement: str) -> set:
    root = Path(__file__).parents[1]
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_it_brings_no_model_library():
    more = _modules_after("import spacy, spacy_nerllm.component") - _modules_after("import spacy")
    heavy = {"torch", "transformers", "peft", "datasets", "accelerate", "huggingface_hub", "openai"}
    assert not heavy & more


def test_adding_it_brings_no_model_library():
    plain = "import spacy; nlp = spacy.blank('en')"
    added = f"import spacy_nerllm.component; {plain}; nlp.add_pipe('nerllm')"
    more = _modules_after(added) - _modules_after("import spacy, thinc.api")
    assert not {"torch", "transformers", "peft", "datasets"} & more
