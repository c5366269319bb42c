"""Speed and memory of what one would take instead: GLiNER's encoders, and en_core_web_sm.

It needs nothing of spacy_nerllm, and an environment of its own with gliner:

    python benchmarks/encoders.py INPUT.json > ROWS.json

INPUT holds {"corpora": [{"name", "labels", "texts", "singles"}], "plain", "threads", "batch_size",
"repeats"}: `texts` are tagged in batches, `singles` one by one. Each row is measured in a process
of its own, so that peaks of memory are separate; building a model and a first batch aren't timed.
Of several repeats the fastest counts. `plain`, one long text or null, is cut at line ends into
pieces of about 200 words, with the labels of the first corpus.

Weights are random, since speed does not depend on them, and the shapes are those of
gliner_small-v2.1, gliner_medium-v2.1 and gliner_large-v2.1. With random scores about every second
span would pass the threshold, and sorting those out would be timed: a bias keeps all below it, so
that `entities` is to be 0. The tokenizer stands for DeBERTa's, which cannot be had without the
hub: WordPiece, trained on the texts themselves, their labels and English passages of this
repository. `tokens_per_word` is what it makes of the texts, without the labels.
"""

import argparse
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

PASSAGES = Path(__file__).resolve().parents[1] / "assets" / "open_types" / "en"
VOCABULARY = 30_000
LABEL_WEIGHT = 100  # How often a label is seen in training: DeBERTa has common words whole.
SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
PIECE_WORDS = 200
THRESHOLD = 0.5

# What differs between DeBERTa-v3 small, base and large.
SIZES: Dict[str, Dict[str, int]] = {
    "small": {"hidden_size": 768, "num_hidden_layers": 6, "num_attention_heads": 12},
    "medium": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
}
SPACY = "en_core_web_sm"
SHAPES = [*SIZES, SPACY]


class Model(NamedTuple):
    """What is measured.

    row (str): Its name.
    parameters (int): How many it has.
    tag (Callable[[List[str], List[str], int], int]): Texts, labels, batch size to entities found.
    tokens (Callable[[str], int]): Text to the number of its tokens.
    packages (Sequence[str]): Whose versions count.
    """

    row: str
    parameters: int
    tag: Callable[[List[str], List[str], int], int]
    tokens: Callable[[str], int]
    packages: Sequence[str]


def pieces(text: str) -> List[str]:
    """Cut a text at line ends; lines that are longer than a piece are cut between words.

    text (str): The text.
    RETURNS (List[str]): Pieces of about 200 words.
    """
    found: List[List[str]] = [[]]
    words = 0
    for line in text.splitlines():
        split = line.split()
        parts = [line]
        if len(split) > PIECE_WORDS:
            starts = range(0, len(split), PIECE_WORDS)
            parts = [" ".join(split[start : start + PIECE_WORDS]) for start in starts]
        for part in parts:
            # GLiNER reads no more than 384 words and marks of a text.
            if words and words + len(part.split()) > 1.25 * PIECE_WORDS:
                found.append([])
                words = 0
            found[-1].append(part)
            words += len(part.split())
            if words >= PIECE_WORDS:
                found.append([])
                words = 0
    return [piece for lines in found if (piece := "\n".join(lines).strip())]


def count_words(texts: Sequence[str]) -> int:
    """RETURNS (int): Words between white space, of all texts."""
    return sum(len(text.split()) for text in texts)


def train_tokenizer(texts: List[str]) -> str:
    """Train WordPiece.

    texts (List[str]): Texts, beside the passages.
    RETURNS (str): Its JSON.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    passages = [
        re.sub(r"\[\[(.*?)\|[^|\]]*\]\]", r"\1", line)
        for path in sorted(PASSAGES.glob("*.txt"))
        for line in path.read_text("utf8").splitlines()
        if line and not line.startswith("#")
    ]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator([*texts, *passages], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    return tokenizer.to_str()


def read_tokenizer(path: Optional[Path], texts: List[str]) -> str:
    """Read the tokenizer, or train it, elsewhere, so that its memory isn't in this peak.

    path (Optional[Path]): Where it is kept.
    texts (List[str]): What it is trained on.
    RETURNS (str): Its JSON.
    """
    if path is not None and path.exists():
        return path.read_text("utf8")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        text = pool.submit(train_tokenizer, texts).result()
    if path is not None:
        path.write_text(text, "utf8")
    return text


def build_gliner(size: str, trained: str) -> Model:
    """Build GLiNER with random weights, through the classes of its package.

    size (str): small, medium or large.
    trained (str): JSON of the tokenizer.
    RETURNS (Model): The model.
    """
    import torch
    from gliner.config import UniEncoderSpanConfig
    from gliner.model import UniEncoderSpanGLiNER
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    names = dict(zip(("pad_token", "cls_token", "sep_token", "unk_token"), SPECIAL, strict=True))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(trained), **names)
    config = UniEncoderSpanConfig(
        model_name="none",
        span_mode="markerV0",
        max_width=12,
        hidden_size=512,
        dropout=0.4,
        subtoken_pooling="first",
        num_rnn_layers=1,
        max_types=25,
        max_len=384,
        # DeBERTa's tokenizer has 128,001 tokens, to which GLiNER adds three.
        vocab_size=128_004,
        encoder_config={
            "model_type": "deberta-v2",
            **SIZES[size],
            "intermediate_size": 4 * SIZES[size]["hidden_size"],
            "vocab_size": 128_004,
            "max_position_embeddings": 512,
            "type_vocab_size": 0,
            "layer_norm_eps": 1e-7,
            "relative_attention": True,
            "max_relative_positions": -1,
            "position_buckets": 256,
            "position_biased_input": False,
            "pos_att_type": ["p2c", "c2p"],
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "pad_token_id": 0,
        },
    )
    tokenizer.add_tokens(["[FLERT]", config.ent_token, config.sep_token], special_tokens=True)
    config.class_token_index = tokenizer.convert_tokens_to_ids(config.ent_token)
    torch.manual_seed(0)
    gliner = UniEncoderSpanGLiNER(config, tokenizer=tokenizer).eval()
    split = gliner.data_processor.words_splitter

    # The score is a product of both projections. It shall be clearly negative, but not so much
    # that its sigmoid is a subnormal number, which would be slow.
    with torch.no_grad():
        gliner.model.span_rep_layer.span_rep_layer.out_project[-1].bias[0] = 5
        gliner.model.prompt_rep_layer[-1].bias[0] = -5

    def tag(texts: List[str], labels: List[str], batch_size: int) -> int:
        found = gliner.inference(
            texts, labels, flat_ner=True, threshold=THRESHOLD, batch_size=batch_size
        )
        return sum(map(len, found))

    def tokens(text: str) -> int:
        words = [word for word, _, _ in split(text)]
        encoded = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
        return len(encoded["input_ids"])

    parameters = sum(parameter.numel() for parameter in gliner.model.parameters())
    packages = ("gliner", "transformers", "torch")
    return Model(f"GLiNER {size} shape", parameters, tag, tokens, packages)


def build_spacy() -> Model:
    """RETURNS (Model): The pipeline with nothing but its ner, which needs no other component."""
    import spacy

    others = ["tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer"]
    nlp = spacy.load(SPACY, exclude=others)

    def tag(texts: List[str], labels: List[str], batch_size: int) -> int:
        return sum(len(doc.ents) for doc in nlp.pipe(texts, batch_size=batch_size))

    def tokens(text: str) -> int:
        return len(nlp.make_doc(text))

    parameters = sum(
        node.get_param(name).size
        for node in nlp.get_pipe("ner").model.walk()
        for name in node.param_names
        if node.has_param(name)
    )
    return Model(SPACY, parameters, tag, tokens, ("spacy", SPACY))


def timed(
    model: Model, texts: List[str], labels: List[str], job: Dict[str, Any]
) -> Tuple[float, int]:
    """Tag texts in batches, from the shortest to the longest, so that batches have little padding.

    model (Model): The model.
    texts (List[str]): The texts.
    labels (List[str]): The labels.
    job (Dict[str, Any]): The input, with the repeats.
    RETURNS (Tuple[float, int]): The fewest seconds, and entities.
    """
    texts = sorted(texts, key=len)
    seconds = []
    for _ in range(job["repeats"]):
        begin = time.perf_counter()
        entities = model.tag(texts, labels, job["batch_size"])
        seconds.append(time.perf_counter() - begin)
    return min(seconds), entities


def quantile(values: Sequence[float], share: float) -> float:
    """RETURNS (float): The value at this share of all, from the least on."""
    return sorted(values)[round(share * (len(values) - 1))]


def measure(model: Model, job: Dict[str, Any]) -> Dict[str, Any]:
    """Measure a model on all texts.

    model (Model): The model.
    job (Dict[str, Any]): The input.
    RETURNS (Dict[str, Any]): The row.
    """
    corpora = job["corpora"]
    labels = corpora[0]["labels"]
    model.tag(sorted(corpora[0]["texts"], key=len)[-job["batch_size"] :], labels, job["batch_size"])

    found = {each["name"]: timed(model, each["texts"], each["labels"], job) for each in corpora}
    seconds = {name: spent for name, (spent, _) in found.items()}
    entities = sum(count for _, count in found.values())
    texts = [text for each in corpora for text in each["texts"]]
    words = count_words(texts)

    single = []
    for text, types in ((text, each["labels"]) for each in corpora for text in each["singles"]):
        begin = time.perf_counter()
        model.tag([text], types, 1)
        single.append(1000 * (time.perf_counter() - begin))

    row = {
        "row": model.row,
        "params_millions": round(model.parameters / 1e6, 1),
        "words_per_second": round(words / sum(seconds.values()), 1),
        "tokens_per_word": round(sum(map(model.tokens, texts)) / words, 3),
        "seconds": {name: round(spent, 3) for name, spent in seconds.items()},
        "single_p50_ms": round(quantile(single, 0.5), 1),
        "single_p95_ms": round(quantile(single, 0.95), 1),
        "entities": entities,
    }
    if job["plain"]:
        parts = pieces(job["plain"])
        words = count_words(parts)
        spent, _ = timed(model, parts, labels, job)
        row["plain_seconds"] = round(spent, 3)
        row["plain_words_per_second"] = round(words / spent, 1)
        row["plain_tokens_per_word"] = round(sum(map(model.tokens, parts)) / words, 3)
    row["peak_rss_mb"] = round(getrusage(RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
    row["versions"] = {name: version(name) for name in model.packages}
    return row


def read_job(path: Path) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The input, with what it leaves out."""
    given = json.loads(path.read_text("utf8"))
    return {"plain": None, "threads": 2, "batch_size": 16, "repeats": 1, **given}


def run_shape(job: Dict[str, Any], shape: str, tokenizer: Optional[Path]) -> Dict[str, Any]:
    """Build and measure, in this process.

    job (Dict[str, Any]): The input.
    shape (str): What to measure.
    tokenizer (Optional[Path]): Where the tokenizer is kept.
    RETURNS (Dict[str, Any]): The row.
    """
    if shape == SPACY:
        return measure(build_spacy(), job)
    texts = [text for corpus in job["corpora"] for text in corpus["texts"]]
    labels = [label for corpus in job["corpora"] for label in corpus["labels"]]
    trained = read_tokenizer(tokenizer, texts + LABEL_WEIGHT * labels)

    import torch

    torch.set_num_threads(job["threads"])
    return measure(build_gliner(shape, trained), job)


def run_all(path: Path, threads: int) -> List[Dict[str, Any]]:
    """Measure every shape in a process of its own.

    path (Path): The input.
    threads (int): Threads of each.
    RETURNS (List[Dict[str, Any]]): The rows.
    """
    pools = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    env = {**os.environ, **dict.fromkeys(pools, str(threads)), "HF_HUB_OFFLINE": "1"}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for shape in SHAPES:
            if shape == SPACY and find_spec(SPACY) is None:
                print(f"{SPACY} isn't installed, and is left out", file=sys.stderr)
                continue
            print(f"Measuring {shape}", file=sys.stderr)
            command = [sys.executable, __file__, str(path), "--shape", shape]
            command += ["--tokenizer", str(Path(folder) / "tokenizer.json")]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env)
            rows.append(json.loads(done.stdout))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("input", type=Path, help="Texts and settings, JSON")
    parser.add_argument("--shape", choices=SHAPES, help="Only this one, in this process")
    parser.add_argument("--tokenizer", type=Path, help="Tokenizer; trained, and kept, if missing")
    given = parser.parse_args()
    job = read_job(given.input)
    result: Any
    # Whatever the packages print, too.
    with redirect_stdout(sys.stderr):
        if given.shape is None:
            result = run_all(given.input, job["threads"])
        else:
            result = run_shape(job, given.shape, given.tokenizer)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
