"""What is reported of tagged texts, against counts made by hand."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Dict

import pytest
import srsly

from spacy_nerllm.corpus.type_names import TypeNames
from spacy_nerllm.evaluation.quality import given_quality, open_quality
from spacy_nerllm.evaluation.tagged import Tagged, tag_texts
from spacy_nerllm.evaluation.texts import Text, read_texts

ROOT = Path(__file__).parents[2]

NAMES = TypeNames({"city": ["place"], "poet": ["person"]}, {})

# Of four gold spans two are right, one has a type of another name, and one is missed.
TAGGED = Tagged(
    gold=[[(0, 3, "person"), (5, 9, "place")], [(0, 4, "place"), (6, 9, "person")]],
    predicted=[[(0, 3, "person"), (5, 9, "city")], [(0, 4, "place")]],
    scores=[[0.9, 0.9], [0.9]],
    counts=Counter(answers=4, salvaged=1, looped=2),
    seconds=2.0,
)


def test_given_types_are_scored_as_they_are_called():
    found = given_quality(TAGGED, {"person"})
    assert (found["precision"], found["recall"], found["typed_f1"]) == (66.67, 50.0, 57.14)
    assert found["span_f1"] == 85.71
    assert (found["seen_types"], found["unseen_types"]) == (1, 2)
    # Of persons one of two was found; of places one of two, and one is called "city".
    assert (found["seen_f1"], found["unseen_f1"]) == (66.67, 50.0)
    assert (found["texts"], found["strict"], found["looped"]) == (2, 75.0, 2)
    assert found["calibration_error"] == pytest.approx(0.9 - 2 / 3, abs=1e-3)
    assert "seen_f1" not in given_quality(TAGGED, set())


def test_open_types_are_scored_by_what_they_are_taken_for_too():
    found = open_quality(TAGGED, NAMES)
    assert found["typed_f1"] == 57.14 and found["mapped_f1"] == 85.71
    # Each type is used once: "city" cannot be a place beside "place".
    assert found["one_to_one_f1"] == 57.14
    assert (found["types"], found["gold_types"]) == (3, 2)
    assert found["ami"] <= 100


def _config(base: Path, adapter: Path) -> Dict[str, Any]:
    return {"base": str(base), "adapter": str(adapter), "dtype": "float32", "max_new_tokens": 40}


def test_texts_are_tagged_with_a_score_for_each_span(tiny_base: Path, tiny_adapter: Path):
    texts = [Text("Ada left Rome.", [(0, 3, "person")], "en"), Text("", [], "en")]
    tagged = tag_texts(texts, {**_config(tiny_base, tiny_adapter), "constrain": True}, "tiny")
    assert tagged.gold == [[(0, 3, "person")], []]
    assert [len(spans) for spans in tagged.predicted] == [len(scores) for scores in tagged.scores]
    assert tagged.counts["answers"] == 1 and tagged.seconds > 0


@pytest.mark.slow
def test_the_script_measures_both_modes_and_goes_on_where_it_stopped(
    tmp_path: Path, tiny_base: Path, tiny_adapter: Path
):
    lines = [{"text": f"Ada left Rome {i}.", "entities": [[0, 3, "person"]]} for i in range(5)]
    for name in ("wnut17", "btc"):
        srsly.write_jsonl(tmp_path / f"{name}.jsonl", [{**line, "lang": "en"} for line in lines])
    labels = {name: ["person", "place"] for name in ("wnut17", "btc")}
    srsly.write_json(tmp_path / "labels.json", labels)
    _write_passages(tmp_path / "passages")
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- quality -->\nold\n<!-- end of quality -->\nb\n")
    command = [sys.executable, str(ROOT / "scripts/benchmark_quality.py"), str(tmp_path)]
    command += [str(tmp_path / "labels.json"), "--passages", str(tmp_path / "passages")]
    command += ["--base", str(tiny_base), "--adapter", str(tiny_adapter), "--dtype", "float32"]
    command += ["--limit", "3", "--out", str(tmp_path / "out.json"), "--readme", str(readme)]
    for corpora in (["wnut17"], ["wnut17", "btc"]):
        options = [word for name in corpora for word in ("--corpora", name)]
        done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        results = srsly.read_json(tmp_path / "out.json")
        assert list(results["given"]) == corpora and list(results["open"]) == ["en"]
        assert {row["texts"] for row in results["given"].values()} == {3}
    # What was measured before was not measured again.
    assert "wnut17" not in done.stderr and "btc" in done.stderr
    text = readme.read_text()
    assert text.startswith("a\n<!-- quality -->\nOpen types") and text.endswith("-->\nb\n")
    assert "\nold\n" not in text and "| wnut17 |" in text


def _write_passages(folder: Path) -> None:
    (folder / "en").mkdir(parents=True)
    passages = [f"# id: en-news-{index:04}\n\n[[Ada|person]] sang {index}.\n" for index in range(4)]
    (folder / "en" / "news.txt").write_text("# domain: news  lang: en\n\n" + "\n".join(passages))
    ids = [f"en-news-{index:04}" for index in range(4)]
    srsly.write_json(folder / "splits.json", {"dev": ids[:1], "test": ids[1:3]})


def test_texts_are_read_up_to_a_limit(tmp_path: Path):
    path = tmp_path / "texts.jsonl"
    line = {"text": "Ada", "entities": [[0, 3, "person"]], "lang": "en"}
    srsly.write_jsonl(path, [line] * 5)
    assert len(list(read_texts(path))) == 5
    assert list(read_texts(path, 2)) == [Text("Ada", [(0, 3, "person")], "en")] * 2
