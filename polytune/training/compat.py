"""Makes model folders that transformers 4 reads as correctly as transformers 5. Needs no torch.

transformers 4.51.3 misreads what version 5 writes (tested by loading, 2026-11-21): it assumes a rope_theta of
10000 and fp32 weights, finds no chat template, and rejects the tokenizer class. So each of these facts is
also written in the older format; version 5 reads either.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from polytune.files import write_whole
from polytune.spec.model import JsonObject

_SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# State of the process that saved the tokenizer, not properties of the tokenizer. It would also make the bytes
# depend on how the model was loaded.
_ONLY_OF_THE_SAVER = ("backend", "is_local", "local_files_only")
JsonChange = Callable[[JsonObject], JsonObject]
_ROPE_ON_TOP = ("rope_theta", "partial_rotary_factor")
_FULL, _SLIDING = "full_attention", "sliding_attention"


def make_portable(folder: Path) -> None:
    """The model and tokenizer that transformers 5 saved in `folder` also load in transformers 4.51."""
    # Bedrock's Custom Model Import, for one, documents transformers 4.51.3.
    _rewrite(folder / "config.json", portable_config)
    template = folder / "chat_template.jinja"
    if template.is_file():
        text = template.read_text(encoding="utf-8")
        _rewrite(folder / "tokenizer_config.json", lambda found: {**found, "chat_template": text})
    _rewrite(folder / "tokenizer_config.json", portable_tokenizer_config)
    _write_special_tokens_map(folder)


def portable_config(config: JsonObject) -> JsonObject:
    """A model's config that also has `rope_theta`, `rope_scaling` and `torch_dtype`, the older names."""
    dtype = config.get("dtype")
    added: JsonObject = {} if dtype is None else {"torch_dtype": dtype}
    return {**config, **added, **_older_rope(config.get("rope_parameters") or {})}


def portable_tokenizer_config(config: JsonObject) -> JsonObject:
    """A tokenizer's config with the class and the extra tokens under the names that transformers 4 knows."""
    fixed = dict(config)
    if fixed.get("tokenizer_class") == "TokenizersBackend":
        fixed["tokenizer_class"] = "PreTrainedTokenizerFast"
    # transformers 4 expects a mapping under this name and fails on a list.
    if isinstance(fixed.get("extra_special_tokens"), list):
        fixed["additional_special_tokens"] = fixed.pop("extra_special_tokens")
    return {name: value for name, value in fixed.items() if name not in _ONLY_OF_THE_SAVER}


def _older_rope(parameters: JsonObject) -> JsonObject:
    if _FULL in parameters:  # one set per kind of layer, as in Gemma 3
        sliding = parameters.get(_SLIDING) or {}
        local = {"rope_local_base_freq": sliding["rope_theta"]} if "rope_theta" in sliding else {}
        return {**_older_rope(parameters[_FULL]), **local}
    if "rope_theta" not in parameters:
        return {}
    moved = {name: parameters[name] for name in _ROPE_ON_TOP if name in parameters}
    scaling = {name: value for name, value in parameters.items() if name not in moved}
    plain = scaling.get("rope_type", "default") == "default"
    return {**moved, "rope_scaling": None if plain else scaling}


def _write_special_tokens_map(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    if not path.is_file() or (folder / "special_tokens_map.json").exists():
        return
    config = json.loads(path.read_text(encoding="utf-8"))
    named = (*_SPECIAL_TOKENS, "additional_special_tokens")
    tokens = {name: config[name] for name in named if config.get(name)}
    _write_json(folder / "special_tokens_map.json", tokens)


def _rewrite(path: Path, change: JsonChange) -> None:
    if path.is_file():
        _write_json(path, change(json.loads(path.read_text(encoding="utf-8"))))


def _write_json(path: Path, value: JsonObject) -> None:
    write_whole(path, (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())
