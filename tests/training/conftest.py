"""The jobs that several training tests look at, each trained once."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytune.training.protocol import Completed, Directory, LoraSize, TrainRequest
from tests.training.small_model import small_model
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
    return small_model(tmp_path_factory.mktemp("models") / "sixteen")


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
