"""Name the machine beside what was measured on it."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Dict


def machine() -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): Processor and versions, to be kept with results."""
    packages = ("spacy_nerllm", "spacy", "transformers", "torch")
    cpu = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": f"{len(cpu)} x {cpu[0]}" if cpu else platform.processor(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
