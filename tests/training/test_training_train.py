"""The training program, run for real on small models."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from polytune.errors import DataError, UsageError
from polytune.training.learning import encode_rows
from polytune.training.models import chosen_device, computing_dtype
from polytune.training.process import explained
from polytune.training.protocol import (
    RESULT_NAME,
    TRAINING_METRICS,
    VALIDATION_METRICS,
    Completed,
    Directory,
    TrainRequest,
    TrainResult,
    read_progress,
    read_request,
    read_result,
    write_request,
)
from polytune.training.rows import JobRows, TrainingRow, asking
from polytune.training.tiny_llama import fitted_tokenizer
from polytune.training.train import main
from tests.messages import matching, message
from tests.training.training_jobs import (
    changed,
    completed,
    contents,
    failure,
    killed_while_training,
    trained,
)

pytestmark = pytest.mark.xdist_group("training")  # the jobs are trained once a worker


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_trains_a_model_from_scratch(tiny_job: Path) -> None:
    """tiny-llama learns: its loss falls, and what it measured is in the result."""
    metrics = completed(_result(tiny_job)).metrics

    assert metrics.steps == 8
    assert (metrics.train_rows, metrics.validation_rows, metrics.rows_left_out) == (30, 6, 0)
    assert metrics.parameters == metrics.trainable_parameters > 850_000
    assert 0 < metrics.completion_tokens < metrics.train_tokens
    first = float(rows_of(tiny_job / "output" / TRAINING_METRICS)[0]["training_loss"])
    assert metrics.training_loss < 0.9 * first
    assert metrics.validation_loss is not None
    assert metrics.validation_loss < 0.9 * first


def test_writes_metrics_in_the_layout_of_bedrock(tiny_job: Path) -> None:
    """Each step has its training loss, each epoch its validation loss; perplexity is e to the loss."""
    training = rows_of(tiny_job / "output" / TRAINING_METRICS)
    validation = rows_of(tiny_job / "output" / VALIDATION_METRICS)

    assert list(training[0]) == ["step_number", "epoch_number", "training_loss", "perplexity"]
    assert list(validation[0]) == ["step_number", "epoch_number", "validation_loss", "perplexity"]
    assert [(r["step_number"], r["epoch_number"]) for r in training] == [
        (str(step), str(step // 4)) for step in range(8)
    ]
    assert [(r["step_number"], r["epoch_number"]) for r in validation] == [("3", "0"), ("7", "1")]
    loss, perplexity = float(training[0]["training_loss"]), float(training[0]["perplexity"])
    assert perplexity == pytest.approx(math.exp(loss), rel=1e-4)


def test_reports_each_step(tiny_job: Path) -> None:
    """TrainProgress lines count the steps up to the known last one, and can be read on from any line."""
    lines, end = read_progress(tiny_job)
    later, _ = read_progress(tiny_job, end)

    assert [line.step for line in lines] == list(range(1, 9))
    assert {line.of for line in lines} == {8}
    assert lines[-1].epoch == 2
    assert later == []


def test_keeps_the_untrained_model(tiny_job: Path) -> None:
    """A model from scratch leaves its random start beside the trained one, with the same tokenizer."""
    output = tiny_job / "output"

    assert completed(_result(tiny_job)).base_path == "output/base"
    files = contents(output)
    assert files["base/tokenizer.json"] == files["model/tokenizer.json"]
    assert files["base/model.safetensors"] != files["model/model.safetensors"]


def test_a_killed_training_begins_anew_and_ends_the_same(
    tiny: TrainRequest, tiny_job: Path, tmp_path: Path
) -> None:
    """After a kill -9 in the middle, the same job ends with the bytes of one that was left alone."""
    job = tmp_path / "job"
    killed_while_training(job, tiny)
    (job / "output").mkdir(exist_ok=True)
    (job / "output" / "half-written").write_text("x")

    result = trained(job, tiny)

    assert result == _result(tiny_job)
    assert contents(job / "output") == contents(tiny_job / "output")


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft asks
def test_adapters_train_little_and_are_merged(lora_result: tuple[Path, Completed], base_folder: Path) -> None:
    """LoRA changes few weights; the merged model equals the base with the adapters put on it."""
    job, result = lora_result
    ids = torch.arange(5, 30).unsqueeze(0)

    base = AutoModelForCausalLM.from_pretrained(base_folder, dtype=torch.float32)
    plain = base(ids).logits
    adapted = PeftModel.from_pretrained(base, job / "output" / "adapter")(ids).logits
    merged = AutoModelForCausalLM.from_pretrained(job / "output" / "model")

    assert result.base_path == str(base_folder)
    assert result.metrics.trainable_parameters < 0.5 * result.metrics.parameters
    assert merged.dtype == torch.bfloat16
    difference = (merged.float()(ids).logits - adapted).abs().mean()
    assert difference < 0.5 * (plain - adapted).abs().mean()


def test_adapters_repeat_whatever_the_hash_seed(
    lora_request: TrainRequest, lora_result: tuple[Path, Completed], tmp_path: Path
) -> None:
    """The same LoRA request gives the same bytes in another folder and with another order of sets."""
    again = trained(tmp_path / "again", lora_request, PYTHONHASHSEED="77")

    assert again == lora_result[1]
    assert contents(tmp_path / "again" / "output") == contents(lora_result[0] / "output")


def test_artifacts_name_no_folder_of_this_machine(
    tiny_job: Path, lora_result: tuple[Path, Completed], base_folder: Path
) -> None:
    """No artifact contains the path of the job, of the base model or of the rows."""
    for job in (tiny_job, lora_result[0]):
        for name, content in contents(job / "output").items():
            assert str(base_folder.parents[1]).encode() not in content, name
            assert str(job).encode() not in content, name


def test_only_the_artifacts_stay(tiny_job: Path) -> None:
    """A completed job folder holds request, progress, result and output, nothing else."""
    assert sorted(path.name for path in tiny_job.iterdir()) == [
        "output",
        "progress.jsonl",
        "request.json",
        "result.json",
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train_file": "gone.jsonl"}, r"gone\.jsonl: " + matching("training/there-is-no-such-file")),
        ({"validation_file": "gone.jsonl"}, r"gone\.jsonl: " + matching("training/there-is-no-such-file")),
        ({"batch_size": 31}, matching("training/rows-do-not-fill-one-batch", rows=30, number=31)),
    ],
)
def test_bad_input_fails_with_cause_and_remedy(
    tiny: TrainRequest, tmp_path: Path, fields: dict[str, object], message: str
) -> None:
    """What is wrong with the files is the job's result, in one line."""
    write_request(tmp_path, changed(tiny, **fields))

    code = main([str(tmp_path)])

    found = failure(_result(tmp_path))
    assert code == 1
    assert re.search(message, found)
    assert "\n" not in found


def test_a_base_model_that_is_not_there(tiny: TrainRequest, tmp_path: Path) -> None:
    """A missing base model folder is named in the result of the process."""
    result = trained(tmp_path, changed(tiny, base=Directory(path=str(tmp_path / "gone"))))

    assert failure(result) == message("training/base-model", tmp_path=tmp_path / "gone")


def test_a_base_model_that_is_no_model(tiny: TrainRequest, tmp_path: Path) -> None:
    """A folder without config or tokenizer is refused before anything heavy is imported."""
    write_request(tmp_path, changed(tiny, base=Directory(path=str(tmp_path))))

    assert main([str(tmp_path)]) == 1
    assert message("training/not-hugging-face-model") in failure(_result(tmp_path))


def test_rows_that_are_too_long() -> None:
    """Up to one row in ten above max_length is left out; more are refused with the length that would do."""
    rows = [TrainingRow(asked=asking("a"), answer="b")] * 9
    long = TrainingRow(asked=asking("a"), answer="xyz" * 40)
    tokenizer = fitted_tokenizer(rows)

    kept = encode_rows(tokenizer, JobRows(training=[*rows, long], validation=[]), 40)

    assert len(kept.training) == 9
    with pytest.raises(
        DataError, match=matching("training/of-training-rows-are-longer", number=11, number2=40)
    ):
        encode_rows(tokenizer, JobRows(training=[*rows, long, long], validation=[]), 40)


@pytest.mark.parametrize(
    ("stored", "computed"), [(torch.float32, torch.float32), (torch.float64, torch.float32)]
)
def test_full_precision_is_computed_in_float32(stored: torch.dtype, computed: torch.dtype) -> None:
    """Weights that are not in half precision are computed with in float32."""
    assert computing_dtype(stored, "cpu") == computed


def test_half_precision_needs_hardware() -> None:
    """On a CPU half-precision weights stay so only where it has bfloat16 instructions."""
    quick = torch.cpu._is_avx512_bf16_supported()

    assert computing_dtype(torch.float16, "cpu") == (torch.bfloat16 if quick else torch.float32)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there() -> None:
    """Asking for a GPU where torch finds none is refused; auto takes the CPU."""
    with pytest.raises(UsageError, match=matching("training/finds-no-usable-gpu")):
        chosen_device("cuda")
    assert chosen_device("auto") == "cpu"


def test_an_impossible_request(tmp_path: Path) -> None:
    """A request with a value out of range fails with the place in it."""
    request = {"base": {"kind": "tiny-llama"}, "method": "full", "train_file": "t", "epochs": 0}
    (tmp_path / "request.json").write_text(json.dumps(request))

    assert main([str(tmp_path)]) == 1
    assert re.search(r"request\.json: .*epochs", failure(_result(tmp_path)))


def test_a_request_survives_being_written(tiny: TrainRequest, tmp_path: Path) -> None:
    """What is written into a job folder is read back equal."""
    write_request(tmp_path, tiny)

    assert read_request(tmp_path) == tiny


def test_without_a_job_folder_there_is_nothing_to_do(tmp_path: Path) -> None:
    """A wrong command line ends with code 2 and leaves no result."""
    assert main([str(tmp_path / "gone")]) == 2
    assert main([]) == 2
    assert not (tmp_path / RESULT_NAME).exists()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), message("training/out-of-memory-lower-batch-size")),
        (
            RuntimeError(message("training/cant-allocate-memory", bytes=9)),
            message("training/out-of-memory"),
        ),
        (RuntimeError("CUDA out of memory. Tried"), message("training/out-of-memory")),
        (ImportError("No module named 'torch'"), message("training/install-local-extra")),
        (ValueError("first\nsecond"), message("training/log-has-all")),
    ],
)
def test_explains_what_nobody_foresaw(error: Exception, message: str) -> None:
    """Failures of libraries become one line with a remedy."""
    assert message in explained("training", error)


def _result(job: Path) -> TrainResult:
    result = read_result(job)
    assert result is not None
    return result
