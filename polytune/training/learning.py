"""One training from request to artifacts: adapters, metrics and the files in `output/`. Needs torch."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, set_seed

from polytune.errors import DataError
from polytune.files import remove_tree, write_whole
from polytune.training.compat import make_portable
from polytune.training.fitting import EncodedRows, History, Loss, TrainingPlaces, fit
from polytune.training.models import (
    Loaded,
    Start,
    chosen_device,
    make_deterministic,
    parameters_of,
    starting_model,
)
from polytune.training.prompting import Encoded, Tokenizer, closing_tokens, encode_row
from polytune.training.protocol import (
    OUTPUT_NAME,
    PROGRESS_NAME,
    TRAINING_METRICS,
    VALIDATION_METRICS,
    Completed,
    Metrics,
    TrainRequest,
)
from polytune.training.rows import JobRows

TOLERATED_LEFT_OUT = 0.1
"""The fraction of a file's rows that may exceed `max_length`. If more do, training fails."""


@dataclass(frozen=True)
class Learnt:
    """A trained model, with adapters merged, and the history of its training."""

    model: PreTrainedModel
    history: History
    parameters: int
    trainable_parameters: int


def learn(job_folder: Path, request: TrainRequest, rows: JobRows, threads: int) -> Completed:
    """The job's `output/` is complete. Returns the measurements.

    Raises PolytuneError for problems that the user can fix.
    """
    make_deterministic(threads)
    places = TrainingPlaces(
        chosen_device(request.device),
        job_folder / ".trainer",
        job_folder / PROGRESS_NAME,
        job_folder / OUTPUT_NAME,
    )
    start = starting_model(request, rows.training, places.device)
    # A model with random weights exists nowhere else, and evaluation needs it as the base. Save it before
    # training changes the weights in place.
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
    """The rows as tokens, without those longer than `max_length`.

    Raises DataError if more than one row in ten is longer.
    """
    closing = closing_tokens(tokenizer)
    training, validation = (
        _fitting([encode_row(tokenizer, row, closing) for row in part], name, max_length)
        for name, part in (("training", rows.training), ("validation", rows.validation))
    )
    return EncodedRows(training, validation)


def _fitting(encoded: Sequence[Encoded], name: str, max_length: int) -> list[Encoded]:
    # Leave long rows out instead of truncating them: the model would learn answers without an end.
    kept = [row for row in encoded if len(row.tokens) <= max_length]
    left_out = len(encoded) - len(kept)
    if left_out > TOLERATED_LEFT_OUT * len(encoded):
        longest = max(len(row.tokens) for row in encoded)
        raise DataError(
            f"{left_out} of {len(encoded)} {name} rows are longer than max_length {max_length}; "
            f"raise it (the longest row has {longest} tokens) or shorten the rows"
        )
    return kept


def _learnt(start: Start, encoded: EncodedRows, request: TrainRequest, places: TrainingPlaces) -> Learnt:
    model = start.loaded.model
    # Count before adapters are added: they wrap the model in place.
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


def with_adapters(model: PreTrainedModel, request: TrainRequest) -> PeftModel:
    """The model with new adapters on every linear layer. Only the adapters are trainable."""
    set_seed(request.seed)
    size = request.lora
    config = LoraConfig(
        r=size.rank, lora_alpha=size.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


def save_adapters(model: PeftModel, folder: Path, base_name: str) -> None:
    """The folder contains the adapters, and nothing in it depends on this machine."""
    model.save_pretrained(folder)
    # peft's model card is a template with nothing filled in, and names the base by its local path.
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    # peft writes the base's absolute path, and its module names in the order of a set.
    config["base_model_name_or_path"] = base_name
    config["target_modules"] = sorted(config["target_modules"])
    write_whole(path, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())


def merged(model: PeftModel) -> PreTrainedModel:
    """The plain model with the adapters merged into its weights."""
    return model.merge_and_unload()


def save_model(loaded: Loaded, folder: Path, dtype: torch.dtype) -> None:
    """The folder contains model and tokenizer, readable by transformers 4.51 and later."""
    loaded.model.to(dtype)
    # The Trainer turns the cache off; a saved model without it would generate slowly.
    loaded.model.config.use_cache = True
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    make_portable(folder)


def save_losses(history: History, output: Path) -> None:
    """The CSV files have been written; the validation file only if a validation loss was measured."""
    write_whole(output / TRAINING_METRICS, csv_of("training_loss", history.training))
    if history.validation:
        write_whole(output / VALIDATION_METRICS, csv_of("validation_loss", history.validation))


def csv_of(column: str, losses: Sequence[Loss]) -> bytes:
    """The losses in the columns of Bedrock's metrics files."""
    lines = [f"step_number,epoch_number,{column},perplexity"]
    lines += [f"{at.step},{at.epoch},{at.loss:.6f},{perplexity(at.loss):.6f}" for at in losses]
    return ("\n".join(lines) + "\n").encode()


def perplexity(loss: float) -> float:
    """exp(loss); infinity where that exceeds the range of a float."""
    return math.exp(loss) if loss < 709 else math.inf
