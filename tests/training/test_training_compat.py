"""Exported folders in transformers 4.51.3: one test per trap, and one that really loads them there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from polytune.training.compat import make_portable, portable_config, portable_tokenizer_config
from polytune.training.protocol import Completed

pytestmark = pytest.mark.xdist_group("training")  # the jobs are trained once a worker
OLD = ("transformers==4.51.3", "tokenizers==0.21.4", "huggingface-hub==0.36.0")


def test_states_rope_theta_where_version_4_looks() -> None:
    """`rope_theta` stands at the top level too, else version 4 takes 10000."""
    config = portable_config({"rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"}})

    assert config["rope_theta"] == 100000.0
    assert config["rope_scaling"] is None
    assert config["rope_parameters"] == {"rope_theta": 100000.0, "rope_type": "default"}


def test_states_rope_scaling_without_what_moved() -> None:
    """A scaled rope keeps its own parameters under `rope_scaling`; theta and the partial factor move up."""
    scaled = {"rope_type": "linear", "factor": 2.0}
    given = {"rope_parameters": {**scaled, "rope_theta": 5e5, "partial_rotary_factor": 0.5}}

    config = portable_config(given)

    assert config["rope_scaling"] == scaled
    assert (config["rope_theta"], config["partial_rotary_factor"]) == (5e5, 0.5)


def test_states_both_ropes_of_alternating_layers() -> None:
    """Where two kinds of layer have a rope each, the local one gets version 4's name for it."""
    ropes = {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}

    config = portable_config({"rope_parameters": ropes})

    assert (config["rope_theta"], config["rope_local_base_freq"]) == (1e6, 1e4)


def test_a_model_without_rope_gets_none() -> None:
    """A config that knows no rope stays without one."""
    assert portable_config({"model_type": "gpt2"}) == {"model_type": "gpt2"}


def test_states_the_number_type_under_both_names() -> None:
    """`torch_dtype` repeats `dtype`, else version 4 loads float32."""
    assert portable_config({"dtype": "bfloat16"}) == {"dtype": "bfloat16", "torch_dtype": "bfloat16"}


def test_names_a_tokenizer_class_that_version_4_has() -> None:
    """`TokenizersBackend` exists in version 5 only; another class is left alone."""
    assert portable_tokenizer_config({"tokenizer_class": "TokenizersBackend"}) == {
        "tokenizer_class": "PreTrainedTokenizerFast"
    }
    assert portable_tokenizer_config({"tokenizer_class": "GPT2Tokenizer"}) == {
        "tokenizer_class": "GPT2Tokenizer"
    }


def test_renames_a_list_of_extra_tokens() -> None:
    """Version 4 wants a mapping under `extra_special_tokens` and fails on version 5's list."""
    assert portable_tokenizer_config({"extra_special_tokens": ["<a>"]}) == {
        "additional_special_tokens": ["<a>"]
    }
    assert portable_tokenizer_config({"extra_special_tokens": {"a": "<a>"}}) == {
        "extra_special_tokens": {"a": "<a>"}
    }


def test_drops_what_only_the_saver_knew() -> None:
    """How the tokenizer happened to be loaded is no property of the model."""
    assert (
        portable_tokenizer_config({"backend": "tokenizers", "is_local": True, "local_files_only": True}) == {}
    )


def test_puts_template_and_tokens_into_files_that_version_4_reads(tmp_path: Path) -> None:
    """The chat template is copied into `tokenizer_config.json`, the special tokens into their own map."""
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<e>", "extra_special_tokens": ["<a>"]}')

    make_portable(tmp_path)

    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    tokens = json.loads((tmp_path / "special_tokens_map.json").read_text())
    assert config["chat_template"] == "{{ messages }}"
    assert tokens == {"eos_token": "<e>", "additional_special_tokens": ["<a>"]}


def test_doing_it_again_changes_nothing(lora_result: tuple[Path, Completed]) -> None:
    """A folder that is portable already stays as it is."""
    folder = lora_result[0] / "output" / "model"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    make_portable(folder)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def look(folder: Path, library: Path | None = None) -> dict[str, Any]:
    """What transformers, the installed one or that in `library`, makes of a model folder."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    if library:
        environment["PYTHONPATH"] = str(library)
    script = Path(__file__).with_name("look_at_model.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        env=environment,
        check=True,
        capture_output=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def version_4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with transformers 4.51.3 and the two libraries it needs in older versions."""
    folder = tmp_path_factory.mktemp("transformers-4")
    options = ["--quiet", "--no-deps", "--no-compile", "--disable-pip-version-check", "--target", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, *OLD],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode:
        pytest.skip(f"pip cannot fetch {OLD[0]}: {done.stderr.strip().splitlines()[-1]}")
    return folder


def test_a_trained_folder_means_the_same_to_both_versions(
    lora_result: tuple[Path, Completed], version_4: Path
) -> None:
    """transformers 4.51.3 and 5 agree on rope, number type, chat template, tokens and greedy answer."""
    folder = lora_result[0] / "output" / "model"

    old, new = look(folder, version_4), look(folder)

    assert (old.pop("version"), new.pop("version")[0]) == ("4.51.3", "5")
    assert old == new
    assert (old["rope_theta"], old["dtype"]) == (100000.0, "torch.bfloat16")
    assert old["prompt"].endswith("A jazz pattern at 90 bpm.<|end|><|assistant|>")
    assert len(set(old["answer_tokens"])) > 3
