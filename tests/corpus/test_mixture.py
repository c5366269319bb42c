"""What a mixture takes: caps and shares hold, passages stay, what is held out stays out."""

import random
from collections import Counter
from pathlib import Path
from typing import Callable, Dict, List

import pytest
import srsly
from hypothesis import given
from hypothesis import strategies as st

from spacy_nerllm.corpus.markup import Passage
from spacy_nerllm.corpus.mixture import (
    Mixture,
    PassageUse,
    _balanced,
    _within,
    mix,
    passage_records,
    read_mixture,
)
from spacy_nerllm.corpus.records import Record
from spacy_nerllm.corpus.type_names import TypeNames

NAMES = TypeNames({"city": ["place"]}, {})
CONFIGS = Path(__file__).parents[2] / "configs"

SHARES = {"en": 0.6, "de": 0.2, "es": 0.2}

Corpora = Callable[[Dict[str, str]], Path]


def size(record: Record) -> int:
    return len(record["input"])


def record(lang: str, source: str = "open_types/news") -> Record:
    return Record(
        input="Ada in Rome", output={"Ada": "person"}, types=None, lang=lang, source=source
    )


@pytest.fixture
def corpora(tmp_path: Path) -> Corpora:
    """Writes a corpus of 100 texts for each name, in its language, and gives their folder."""

    def write(langs: Dict[str, str]) -> Path:
        for name, lang in langs.items():
            lines = [
                {"text": f"Ada in {name} {index:03}", "entities": [[0, 3, "person"]], "lang": lang}
                for index in range(100)
            ]
            srsly.write_jsonl(tmp_path / f"{name}.jsonl", lines)
        return tmp_path

    return write


def _sizes(records: List[Record], key: str) -> Counter:
    sizes: Counter = Counter()
    for item in records:
        sizes[item[key]] += size(item)
    return sizes


def test_passages_are_asked_for_in_each_way_so_often():
    passage = Passage(
        "a", "news", "en", "Ada met Bo in Rome.", [(0, 3, "person"), (14, 18, "city")]
    )
    use = PassageUse(open=2, noisy=3, given=4)
    records = passage_records([passage], use, NAMES, {}, random.Random(0))
    assert Counter(item["types"] is None for item in records) == {True: 5, False: 4}
    assert sum(item["input"] != passage.text for item in records) == 3
    assert all(len(item["output"]) == 2 for item in records if item["types"] is None)


def test_passages_of_a_language_have_a_weight():
    passages = [
        Passage(str(index), "news", lang, "Ada.", [(0, 3, "person")])
        for index in range(100)
        for lang in ("en", "de", "es")
    ]
    use = PassageUse(open=1, noisy=1, given=1, weights={"de": 3, "es": 0.5})
    records = passage_records(passages, use, NAMES, {}, random.Random(0))
    counts = Counter(item["lang"] for item in records)
    assert (counts["en"], counts["de"]) == (300, 900) and 120 < counts["es"] < 180


def test_a_cap_holds_and_only_its_corpora_lose(corpora: Corpora):
    folder = corpora({"news": "en", "bio": "en", "genes": "en"})
    caps = [{"corpora": ["bio", "genes"], "part": 0.1}]
    mixture = Mixture(corpora=dict.fromkeys(("news", "bio", "genes"), 100), held_out=0, caps=caps)
    sizes = _sizes(mix(mixture, ([], []), folder, NAMES, size, 0).train, "source")
    part = (sizes["bio"] + sizes["genes"]) / sum(sizes.values())
    assert 0.08 < part <= 0.1 and sizes["bio"] and sizes["genes"]
    assert sizes["news"] == sum(len(f"Ada in news {0:03}") for _ in range(100))


@given(
    kept=st.lists(st.sampled_from(["en", "de", "es", "fr"]), max_size=30),
    free=st.lists(st.sampled_from(["en", "de", "es", "fr"]), max_size=80),
)
def test_no_language_has_more_than_its_share_unless_by_passages(kept: List[str], free: List[str]):
    shares = {lang: share for lang, share in SHARES.items() if lang in {*kept, *free}}
    fixed = [record(lang) for lang in kept]
    chosen = _balanced(fixed, [record(lang, "c") for lang in free], shares, size)
    before, has = Counter([*kept, *free]), Counter(item["lang"] for item in [*fixed, *chosen])
    total = min((before[lang] / share for lang, share in shares.items()), default=0)
    for lang, share in shares.items():
        assert has[lang] <= max(share * total + 1e-9, Counter(kept)[lang])
        # And no more is left out than must be.
        assert has[lang] + 1 > min(before[lang], max(share * total, Counter(kept)[lang])) - 1e-9
    assert has["fr"] == before["fr"]


def test_what_is_held_out_depends_on_the_seed_alone(corpora: Corpora):
    folder = corpora({"news": "en", "bio": "en", "names_dev": "en"})
    more = {"corpora": {"news": 100, "bio": 9, "names_dev": 30}, "validation": ["names_dev"]}
    more["val_records"] = 30
    one = mix(Mixture(corpora={"news": 100}), ([], []), folder, NAMES, size, 7)
    two = mix(Mixture(**more), ([], []), folder, NAMES, size, 7)
    held = {item["input"] for item in one.val}
    assert len(held) == 3
    assert held <= {item["input"] for item in two.val}
    sources = Counter(item["source"] for item in two.val)
    assert sources["names_dev"] == 30 and "names_dev" not in _sizes(two.train, "source")
    assert not {item["input"] for item in two.train} & {item["input"] for item in two.val}


def test_a_language_without_texts_is_named(corpora: Corpora):
    mixture = Mixture(corpora={"news": 9}, languages={"en": 0.5, "es": 0.5})
    with pytest.raises(ValueError, match=r"\['es'\].*only in \['en'\]"):
        mix(mixture, ([], []), corpora({"news": "en"}), NAMES, size, 0)


def test_one_long_record_does_not_keep_shorter_ones_out():
    records = [record("en"), {**record("en"), "input": "x" * 90}, record("en")]
    assert _within(records, 25, size) == [records[0], records[2]]


def test_no_more_than_so_many_records_of_a_corpus_are_validated_on(corpora: Corpora):
    folder = corpora({"news": "en", "names_dev": "en"})
    mixture = Mixture(
        corpora={"news": 100, "names_dev": 100}, validation=["names_dev"], val_records=2
    )
    val = mix(mixture, ([], []), folder, NAMES, size, 0).val
    assert Counter(item["source"] for item in val) == {"news": 2, "names_dev": 2}


def test_a_seed_mixes_the_same_again(corpora: Corpora):
    folder = corpora({"news": "en", "bio": "de"})
    mixture = Mixture(corpora={"news": 80, "bio": 80}, languages={"en": 0.5, "de": 0.5})
    passages = ([record("en")], [record("de")])
    first, again, other = (mix(mixture, passages, folder, NAMES, size, s) for s in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.json")), ids=lambda path: path.stem)
def test_our_mixtures_are_some(path: Path):
    mixture = read_mixture(path)
    assert set(mixture.validation) <= set(mixture.corpora)
    assert {name for cap in mixture.caps for name in cap.corpora} <= set(mixture.corpora)
    assert not mixture.languages or sum(mixture.languages.values()) == pytest.approx(1)


def test_a_wrong_mixture_is_refused(tmp_path: Path):
    srsly.write_json(tmp_path / "wrong.json", {"passages": {"opne": 1}})
    with pytest.raises(ValueError, match=r"(?s)wrong\.json is no mixture.*opne"):
        read_mixture(tmp_path / "wrong.json")
