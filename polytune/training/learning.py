"""One training from request to artifacts; needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from transformers import PreTrainedModel

from polytune.errors import DataError
from polytune.files import remove_tree
from polytune.training.adapters import merged, save_adapters, with_adapters
from polytune.training.artifacts import save_losses, save_model
from polytune.training.bases import Start, parameters_of, starting_model
from polytune.training.fitting import EncodedRows, History, Places, fit
from polytune.training.loading import Loaded, chosen_device, settle
from polytune.training.prompting import Encoded, Tokenizer, closing_tokens, encode_row
from polytune.training.protocol import OUTPUT_NAME, PROGRESS_NAME, Completed, Metrics, TrainRequest
from polytune.training.rows import JobRows

TOLERATED_LEFT_OUT = 0.1
"""The part of a file's rows that may be longer than `max_length` before training refuses."""


@dataclass(frozen=True)
class Learnt:
    """A trained model without adapters, and how it got there."""

    model: PreTrainedModel
    history: History
    parameters: int
    trainable_parameters: int


def learn(job_folder: Path, request: TrainRequest, rows: JobRows, threads: int) -> Completed:
    """The job's `output/` is whole; what was measured is returned.

    Raises PolytuneError for what the user can correct.
    """
    settle(threads)
    places = Places(
        chosen_device(request.device),
        job_folder / ".trainer",
        job_folder / PROGRESS_NAME,
        job_folder / OUTPUT_NAME,
    )
    start = starting_model(request, rows.training, places.device)
    if start.folder is None:
        save_model(start.loaded, places.output / "base", start.dtype)
    encoded = encode_rows(start.loaded.tokenizer, rows, request.max_length)
    learnt = _learnt(start, encoded, request, places)
    save_model(Loaded(learnt.model.cpu(), start.loaded.tokenizer), places.output / "model", start.dtype)
    save_losses(learnt.history, places.output)
    remove_tree(places.scratch)
    return Completed(
        metrics=_metrics(learnt, encoded, rows, request.epochs),
        base_path=str(start.folder or f"{OUTPUT_NAME}/base"),
        device=places.device,
    )


def encode_rows(tokenizer: Tokenizer, rows: JobRows, max_length: int) -> EncodedRows:
    """The rows in tokens, without those longer than `max_length`.

    Raises DataError when more than one row in ten is longer.
    """
    closing = closing_tokens(tokenizer)
    training, validation = (
        _fitting([encode_row(tokenizer, row, closing) for row in part], name, max_length)
        for name, part in (("training", rows.training), ("validation", rows.validation))
    )
    return EncodedRows(training, validation)


def _fitting(encoded: Sequence[Encoded], name: str, max_length: int) -> list[Encoded]:
    kept = [row for row in encoded if len(row.tokens) <= max_length]
    left_out = len(encoded) - len(kept)
    if left_out > TOLERATED_LEFT_OUT * len(encoded):
        longest = max(len(row.tokens) for row in encoded)
        raise DataError(
            f"{left_out} of {len(encoded)} {name} rows are longer than max_length {max_length}; "
            f"raise it (the longest row has {longest} tokens) or shorten the rows"
        )
    return kept


def _learnt(start: Start, encoded: EncodedRows, request: TrainRequest, places: Places) -> Learnt:
    model = start.loaded.model
    parameters = parameters_of(model)
    if request.method == "full":
        return Learnt(model, fit(model, encoded, request, places), parameters, parameters)
    adapted = with_adapters(model, request)
    trainable = parameters_of(adapted, trainable=True)
    history = fit(adapted, encoded, request, places)
    save_adapters(adapted, places.output / "adapter", start.name)
    return Learnt(merged(adapted), history, parameters, trainable)


def _metrics(learnt: Learnt, encoded: EncodedRows, rows: JobRows, epochs: int) -> Metrics:
    history = learnt.history
    last = [at.loss for at in history.training if at.epoch == history.training[-1].epoch]
    tokens = sum(len(row.tokens) for row in encoded.training)
    given = len(rows.training) + len(rows.validation)
    return Metrics(
        training_loss=round(fmean(last), 6),
        validation_loss=round(history.validation[-1].loss, 6) if history.validation else None,
        steps=len(history.training),
        epochs=epochs,
        train_rows=len(encoded.training),
        validation_rows=len(encoded.validation),
        rows_left_out=given - len(encoded.training) - len(encoded.validation),
        train_tokens=tokens,
        completion_tokens=tokens - sum(row.asked for row in encoded.training),
        parameters=learnt.parameters,
        trainable_parameters=learnt.trainable_parameters,
    )
