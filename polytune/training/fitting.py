"""The optimization: trains on encoded rows with transformers' Trainer and records every step. Needs torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from polytune.errors import StepFailed
from polytune.training.prompting import Encoded
from polytune.training.protocol import TrainProgress, TrainRequest, encode

# PyTorch's cross entropy skips labels with this value.
_IGNORED = -100

Item = dict[str, list[int]]
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Loss:
    """The loss at a step. Steps and epochs count from 0, as in Bedrock's metrics files."""

    step: int
    epoch: int
    loss: float


@dataclass(frozen=True)
class History:
    """The training loss of every step and the validation loss of every epoch."""

    training: list[Loss] = field(default_factory=list)
    validation: list[Loss] = field(default_factory=list)


@dataclass(frozen=True)
class EncodedRows:
    """The tokens of both files. Without validation rows, no validation loss is measured."""

    training: list[Encoded]
    validation: list[Encoded]


@dataclass(frozen=True)
class TrainingPlaces:
    """The device, scratch folder, progress file and output folder of a training."""

    device: str
    scratch: Path
    progress: Path
    output: Path


def fit(model: PreTrainedModel, rows: EncodedRows, request: TrainRequest, places: TrainingPlaces) -> History:
    """The model's trainable weights have been trained on the rows.

    Raises StepFailed if the loss becomes infinite or not a number.
    """
    recorder = Recorder(places.progress, len(rows.training), request)
    trainer = Trainer(
        model=model,
        args=_arguments(request, places, measure=bool(rows.validation)),
        train_dataset=_items(rows.training),
        eval_dataset=_items(rows.validation) or None,
        data_collator=padded,
        callbacks=[recorder],
    )
    # It prints every log entry; progress goes to the progress file instead.
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return recorder.history


def padded(items: Sequence[Item]) -> Tensors:
    """A batch, padded on the right. It needs no mask: in a causal model no token attends to its right."""
    tokens = [torch.tensor(item["input_ids"]) for item in items]
    labels = [torch.tensor(item["labels"]) for item in items]
    return {
        "input_ids": pad_sequence(tokens, batch_first=True, padding_value=0),
        "labels": pad_sequence(labels, batch_first=True, padding_value=_IGNORED),
    }


def _items(rows: Sequence[Encoded]) -> list[Item]:
    return [
        {"input_ids": row.tokens, "labels": [_IGNORED] * row.asked + row.tokens[row.asked :]} for row in rows
    ]


def _arguments(request: TrainRequest, places: TrainingPlaces, *, measure: bool) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(places.scratch),
        num_train_epochs=request.epochs,
        learning_rate=request.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=request.warmup_steps,
        per_device_train_batch_size=request.batch_size,
        per_device_eval_batch_size=request.batch_size,
        # Rows of similar length share a batch, so little time is spent on padding.
        train_sampling_strategy="group_by_length",
        seed=request.seed,
        data_seed=request.seed,
        use_cpu=places.device == "cpu",
        # Mixed precision for full training on a GPU. LoRA gets its number type when the model is loaded.
        bf16=places.device == "cuda" and request.method == "full" and torch.cuda.is_bf16_supported(),
        eval_strategy="epoch" if measure else "no",
        prediction_loss_only=True,
        logging_strategy="steps",
        logging_steps=1,
        # The filter would replace a loss that is not a number by the mean, and hide that training failed.
        logging_nan_inf_filter=False,
        save_strategy="no",  # a job is short or starts anew: checkpoints would only cost disk
        report_to="none",
        disable_tqdm=True,
        # The collator returns exactly the columns that the model takes.
        remove_unused_columns=False,
        # The Trainer cannot infer them from a model that peft has wrapped.
        label_names=["labels"],
        dataloader_pin_memory=places.device == "cuda",
    )


class Recorder(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
    """Records every loss and appends one progress line per step."""

    def __init__(self, progress: Path, rows: int, request: TrainRequest) -> None:
        self.history = History()
        self._progress = progress
        self._steps_per_epoch = -(-rows // request.batch_size)
        self._started = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **more: object,
    ) -> None:
        """Records a loss. The Trainer calls this after each step and each evaluation."""
        found = logs or {}
        if "loss" in found:
            self._stepped(state, float(found["loss"]))
        elif "eval_loss" in found:
            self.history.validation.append(self._loss(state.global_step, float(found["eval_loss"])))

    def _stepped(self, state: TrainerState, loss: float) -> None:
        # Stop at once: a loss that is not a number never recovers.
        if loss != loss or loss == float("inf"):
            raise StepFailed(
                f"training: the loss is {loss} at step {state.global_step}; lower learning_rate or raise "
                "warmup_steps"
            )
        self.history.training.append(self._loss(state.global_step, loss))
        line = TrainProgress(
            step=state.global_step,
            of=state.max_steps,
            epoch=round(float(state.epoch or 0), 4),
            loss=round(loss, 6),
            seconds=round(time.monotonic() - self._started, 3),
        )
        with self._progress.open("ab") as file:
            file.write(encode(line))

    def _loss(self, steps_done: int, loss: float) -> Loss:
        step = steps_done - 1
        return Loss(step, step // self._steps_per_epoch, loss)
