"""The jobs that several training tests look at, each trained once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from polytune.training.protocol import Completed, Directory, LoraSize, TrainRequest
from polytune.training.rows import TrainingRow, asking
from polytune.training.tiny_llama import fitted_tokenizer
from tests.training.training_jobs import Files, changed, completed, make_files, tiny_request, trained


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The rows of every job."""
    return make_files(tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="session")
def tiny(files: Files, tmp_path_factory: pytest.TempPathFactory) -> TrainRequest:
    """A request to train tiny-llama for eight steps."""
    return tiny_request(files, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny_job(tiny: TrainRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a completed tiny-llama job."""
    job = tmp_path_factory.mktemp("tiny")
    completed(trained(job, tiny))
    return job


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bfloat16 model with an uncommon rope_theta, as transformers 5 saves it."""
    folder = tmp_path_factory.mktemp("models") / "sixteen"
    row = TrainingRow(
        asked=asking("Write a jazz pattern at 90 bpm.", "You write Strudel code."), answer='s("bd*4")'
    )
    tokenizer = fitted_tokenizer([row])
    torch.manual_seed(3)
    model = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=64,
            vocab_size=len(tokenizer),
            rope_parameters={"rope_theta": 100000.0, "rope_type": "default"},
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            initializer_range=0.2,
        )
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def lora_request(tiny: TrainRequest, base_folder: Path) -> TrainRequest:
    """A request to train adapters on that model for four steps."""
    base = Directory(path=str(base_folder))
    return changed(tiny, base=base, method="lora", epochs=1, lora=LoraSize(rank=4, alpha=8), max_length=512)


@pytest.fixture(scope="session")
def lora_result(
    lora_request: TrainRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Completed]:
    """The folder and the result of a completed LoRA job."""
    job = tmp_path_factory.mktemp("lora")
    return job, completed(trained(job, lora_request))
