"""What every base model's facts keep to: complete, consistent, and each with its source and date."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from polytune.base_models.interface import BASE_MODELS, BaseModelEntry, Range, for_directory
from polytune.errors import DataError
from polytune.formats.interface import FORMATS
from polytune.registry import UnknownMember

NAMES = BASE_MODELS.names()
UNSOURCED = {"name", "title", "platform", "sources"}
DATE = re.compile(r"20\d\d(-\d\d(-\d\d)?)?")


def entry(name: str) -> BaseModelEntry:
    """A member of the catalogue."""
    return BASE_MODELS.get(name)


def test_the_catalogue_holds_the_models_of_this_release() -> None:
    """Five Novas and two local models are known by name."""
    assert NAMES == [
        "nova-2-lite",
        "nova-lite",
        "nova-micro",
        "nova-premier",
        "nova-pro",
        "smollm2-135m",
        "tiny-llama",
    ]


def test_an_unknown_model_gets_the_nearest_name() -> None:
    """A typing mistake is answered with the name that was meant."""
    with pytest.raises(UnknownMember, match=r"unknown base model 'nova-lit'\. Did you mean 'nova-lite'\?"):
        entry("nova-lit")


@pytest.mark.parametrize("name", NAMES)
def test_every_stated_fact_has_a_source_and_a_date(name: str) -> None:
    """Each field that states something is covered by a source with a date; sources cover real fields only."""
    model = entry(name)
    fields = {field.name for field in msgspec.structs.fields(BaseModelEntry)}
    empty = (None, (), msgspec.structs.replace(model.reserved, documented=(), reported=()))
    stated = {field for field in fields - UNSOURCED if getattr(model, field) not in empty}

    covered = {field for source in model.sources for field in source.covers}

    assert stated - covered == set()
    assert covered - fields == set()
    assert all(source.where and DATE.fullmatch(source.date) for source in model.sources)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_called_what_its_file_is_called(name: str) -> None:
    """The name inside the file is the name outside."""
    assert entry(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_references_lead_somewhere(name: str) -> None:
    """Formats and teachers that an entry names exist; a teacher is not its own student."""
    model = entry(name)

    assert set(model.formats) <= set(FORMATS.names())
    assert set(model.teachers) <= set(NAMES) - {name}
    assert bool(model.teachers) == ("distillation" in model.customizations)


@pytest.mark.parametrize("name", NAMES)
def test_a_trainable_model_has_all_that_training_needs(name: str) -> None:
    """Training id, limits, hyperparameters and formats are there together or not at all."""
    model = entry(name)
    parts = (model.training_id, model.limits, model.hyperparameters, model.formats, model.customizations)

    assert len({bool(part) for part in parts}) == 1


@pytest.mark.parametrize("name", [name for name in NAMES if entry(name).hyperparameters])
def test_defaults_lie_in_their_ranges(name: str) -> None:
    """Every hyperparameter's default is a value that may be chosen."""
    parameters = entry(name).hyperparameters
    assert parameters is not None
    ranges = [value for value in msgspec.structs.astuple(parameters) if isinstance(value, Range)]

    assert len(ranges) == 4
    assert all(each.holds(each.default) for each in ranges)


@pytest.mark.parametrize("name", [name for name in NAMES if entry(name).limits])
def test_limits_are_ordered(name: str) -> None:
    """The minimum is not above the advice, the advice not above the maximum, a row fits the context."""
    model = entry(name)
    limits = model.limits
    assert limits is not None

    assert 0 < limits.min_train_rows <= limits.advised_train_rows <= (limits.max_rows or 10**9)
    assert limits.max_tokens_per_row is not None
    assert limits.max_tokens_per_row <= model.context_tokens
    assert 1 < limits.chars_per_token < 8


@pytest.mark.parametrize("name", [name for name in NAMES if entry(name).platform == "bedrock"])
def test_bedrock_ids_differ_for_training_and_inference(name: str) -> None:
    """A training id has its context suffix; an inference id never has one."""
    model = entry(name)

    assert re.fullmatch(r"(us\.)?amazon\.nova-[a-z0-9-]+-v1:0", model.inference_id)
    if model.training_id is not None:
        assert re.fullmatch(r"amazon\.nova-[a-z0-9-]+-v1:0:\d+k", model.training_id)
    assert model.regions == ("us-east-1",)


def test_published_prices_and_ranges_are_the_catalogues() -> None:
    """Figures that money depends on are pinned."""
    micro, two = entry("nova-micro"), entry("nova-2-lite")
    assert micro.prices is not None
    assert two.prices is not None
    assert two.hyperparameters is not None

    assert micro.prices.training_usd_per_1k_tokens == 0.001
    assert two.prices.training_usd_per_1k_tokens == 0.00378
    assert two.prices.storage_usd_per_month == 1.95
    assert two.hyperparameters.learning_rate == Range(1e-6, 1e-4, 1e-5)
    assert entry("nova-pro").prices.training_usd_per_1k_tokens is None  # type: ignore[union-attr]


def test_the_source_of_a_fact_can_be_named() -> None:
    """A message about a range can say where the range is stated."""
    source = entry("nova-lite").source_of("hyperparameters")

    assert source is not None
    assert source.where == "docs.aws.amazon.com/bedrock/latest/userguide/custom-models-hp.html"
    assert entry("nova-lite").source_of("title") is None


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_json(name: str) -> None:
    """An entry can enter a cache key: it becomes JSON and comes back equal."""
    text = json.dumps(msgspec.to_builtins(entry(name)))

    assert msgspec.json.decode(text, type=BaseModelEntry) == entry(name)


def test_a_local_folder_takes_its_context_from_its_config(tmp_path: Path) -> None:
    """A Hugging Face folder is an entry named after the folder, with the context of its config.json."""
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 4096}')

    model = for_directory(folder)

    assert (model.name, model.platform, model.training_id) == ("my-model", "local", str(folder))
    assert model.context_tokens == 4096
    assert model.limits is not None
    assert model.limits.max_tokens_per_row == 4096


@pytest.mark.parametrize("content", [None, "not json", '{"max_position_embeddings": "many"}'])
def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, content: str | None) -> None:
    """Without a readable config.json the message says so and lists the named models."""
    if content is not None:
        (tmp_path / "config.json").write_text(content)

    with pytest.raises(DataError, match=r"not a Hugging Face model folder: .*tiny-llama"):
        for_directory(tmp_path)
