"""What every base model's facts keep to: complete, consistent, and each with its source and date."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from polytune.base_models.interface import (
    BASE_MODELS,
    BaseModelEntry,
    Hyperparameter,
    Number,
    Reserved,
    count,
    for_directory,
    rate,
)
from polytune.errors import DataError
from polytune.formats.interface import FORMATS
from polytune.registry import UnknownMember
from tests.messages import matching

NAMES = BASE_MODELS.names()
UNSOURCED = {"name", "title", "platforms", "folder", "sources"}
MEDIA = ("image", "video", "document")
DATE = re.compile(r"20\d\d(-\d\d(-\d\d)?)?")

ID_PART = r"[a-z0-9-]{1,63}"
BASE_MODEL_IDENTIFIER = re.compile(rf"{ID_PART}\.{ID_PART}(\.?{ID_PART})(:{ID_PART}){{0,2}}")
"""The part of the shape BaseModelIdentifier of botocore 1.43.11 that is no ARN and no name."""
MODEL_ID = re.compile(rf"(us\.|global\.)?{ID_PART}\.{ID_PART}(:{ID_PART}){{0,2}}")


def entry(name: str) -> BaseModelEntry:
    """A member of the catalogue."""
    return BASE_MODELS.get(name)


def test_the_catalogue_holds_the_models_of_this_release() -> None:
    """Every model that Bedrock customizes or lets teach, and the two that train on this machine."""
    assert {*NAMES} >= {
        "claude-3-haiku",
        "gpt-oss-20b",
        "llama-3-1-405b",
        "llama-3-1-70b",
        "llama-3-1-8b",
        "llama-3-2-11b",
        "llama-3-2-1b",
        "llama-3-2-3b",
        "llama-3-2-90b",
        "llama-3-3-70b",
        "nova-2-lite",
        "nova-canvas",
        "nova-lite",
        "nova-micro",
        "nova-premier",
        "nova-pro",
        "qwen3-32b",
        "smollm2-135m",
        "tiny-llama",
        "titan-image-v2",
        "titan-multimodal-embeddings",
    }


def test_an_unknown_model_gets_the_nearest_name() -> None:
    """A typing mistake is answered with the name that was meant."""
    with pytest.raises(
        UnknownMember,
        match=matching("base_models/unknown-base-model", model="nova-lit", suggestion="nova-lite"),
    ):
        entry("nova-lit")


@pytest.mark.parametrize("name", NAMES)
def test_every_stated_fact_has_a_source_and_a_date(name: str) -> None:
    """Each field that states something is covered by a source with a date; sources cover real fields only."""
    model = entry(name)
    parts = (model, *model.platforms.values())
    fields = {field.name for part in parts for field in msgspec.structs.fields(type(part))}
    empty: tuple[object, ...] = (None, "", (), {}, Reserved())
    stated = {
        field for part in parts for field in part.__struct_fields__ if getattr(part, field) not in empty
    }
    stated -= UNSOURCED

    covered = {field for source in model.sources for field in source.covers}

    assert stated - covered == set()
    assert covered - fields == set()
    assert all(source.where and DATE.fullmatch(source.date) for source in model.sources)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_called_what_its_file_or_row_is_called(name: str) -> None:
    """The name inside an entry is the one that it is found by."""
    assert entry(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_references_lead_somewhere(name: str) -> None:
    """Formats and teachers that an entry names exist; a teacher is not its own student."""
    model = entry(name)

    assert set(model.all_formats) <= set(FORMATS.names())
    assert set(model.teachers) <= set(NAMES) - {name}
    assert bool(model.teachers) == ("distillation" in model.customizations)


@pytest.mark.parametrize("name", NAMES)
def test_a_teacher_can_be_called_where_its_students_are_trained(name: str) -> None:
    """A model says how it is called as a teacher exactly when it teaches; by profile only with a profile."""
    model = entry(name)
    students = [entry(each) for each in NAMES if name in entry(each).teachers]

    offering = model.offering
    assert bool(offering.teacher_invocation) == bool(students)
    assert offering.profile_id or "profile" not in offering.teacher_invocation
    assert all(set(student.offering.regions) <= set(offering.regions) for student in students)


@pytest.mark.parametrize("name", NAMES)
def test_a_trainable_model_has_all_that_training_needs(name: str) -> None:
    """Every customization type has its limits and layouts; fine-tuning and reinforcement their parameters."""
    model = entry(name)

    for offering in model.platforms.values():
        assert bool(offering.training_id) == bool(model.customizations)
        assert bool(offering.deployments) == (
            offering.training_api == "bedrock" and bool(model.customizations)
        )
    for customization in model.customizations:
        assert model.limits_of(customization) is not None
        assert model.formats_of(customization)
    assert bool(model.hyperparameters) == ("fine_tuning" in model.customizations)
    assert bool(model.reinforcement) == ("reinforcement_fine_tuning" in model.customizations)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_refused_is_not_offered(name: str) -> None:
    """A customization type is offered or refused with a reason; pre-training is refused all over Bedrock."""
    model = entry(name)

    assert not set(model.customizations) & set(model.refused)
    assert not {*model.other_limits, *model.other_formats} - set(model.customizations)
    if "bedrock" in model.platforms and model.customizations:
        assert "Titan Text" in model.refused["continued_pre_training"]


@pytest.mark.parametrize("name", NAMES)
def test_media_rules_are_there_for_the_media_that_rows_may_hold(name: str) -> None:
    """Images and videos among the blocks have rules, and nothing else has."""
    model = entry(name)

    assert [media.kind for media in model.media] == [kind for kind in model.blocks if kind in MEDIA]
    for media in model.media:
        assert media.formats
        assert not set(media.formats) & set(media.doubtful_formats)
        assert (media.min_side_pixels or 1) < (media.max_side_pixels or 10**6)


def test_published_advice_by_dataset_size() -> None:
    """Fewer than 5,000 rows: two epochs, else one; warmup is rows / 160 for Nova Lite, never above 100."""
    automatic = entry("nova-lite").automatic
    assert automatic is not None

    assert automatic.values(4_999) == {"epochs": 2, "learning_rate": 5e-5, "warmup_steps": 31}
    assert automatic.values(5_000) == {"epochs": 1, "learning_rate": 5e-5, "warmup_steps": 31}
    assert automatic.values(20_000)["warmup_steps"] == 100
    assert automatic.values(10)["warmup_steps"] == 0
    steps = {name: advice.rows_per_warmup_step for name in NAMES if (advice := entry(name).automatic)}
    assert steps == {"nova-lite": 160, "nova-micro": 640, "nova-pro": 320}


@pytest.mark.parametrize("name", [name for name in NAMES if entry(name).automatic])
def test_advice_stays_within_the_ranges(name: str) -> None:
    """Whatever the size of the dataset, the advised values are ones that the API takes."""
    model = entry(name)
    assert model.automatic is not None
    assert model.hyperparameters is not None

    for rows in (0, 8, 4_999, 5_000, 20_000, 10**6):
        for word, value in model.automatic.values(rows).items():
            assert model.hyperparameters[word].holds(value)


@pytest.mark.parametrize(
    ("parameter", "good", "bad", "allowed"),
    [
        (count("n", 1, 5, 2), [1, 5, 2.0], [0, 6, 2.5, "auto", "low"], "1 to 5"),
        (count("n", 1, 1, 1), [1], [2], "only 1"),
        (count("n", 1, None, 1), [1, 10**9], [0], "from 1"),
        (rate("r", 0.0, 0.1, 0.001), [0, 0.1, 0.05], [-0.1, 0.2], "0 to 0.1"),
        (
            Hyperparameter(api_name="s", minimum=10, maximum=40, required=True, auto="Auto"),
            [10, "auto", "Auto"],
            [9, "low"],
            "10 to 40, or Auto",
        ),
        (
            Hyperparameter(api_name="e", choices=("low", "medium", "high")),
            ["low", "high"],
            ["Low", 1, 0],
            "low, medium or high",
        ),
        (Hyperparameter(api_name="x", whole=False), [0.5, -3], ["auto"], "any number"),
    ],
)
def test_a_hyperparameter_knows_its_values(
    parameter: Hyperparameter, good: list[Number | str], bad: list[Number | str], allowed: str
) -> None:
    """Numbers in range, the word for the API's own choice, or one of its words; nothing else."""
    assert [value for value in good + bad if parameter.holds(value)] == good
    assert parameter.allowed == allowed


@pytest.mark.parametrize("name", [name for name in NAMES if entry(name).hyperparameters])
def test_defaults_lie_in_their_ranges(name: str) -> None:
    """Every hyperparameter's default is a value that may be chosen; what must be stated has none."""
    model = entry(name)

    for each in (*(model.hyperparameters or {}).values(), *(model.reinforcement or {}).values()):
        assert each.default is None or each.holds(each.default)
        assert not (each.required and each.default is not None)


@pytest.mark.parametrize("name", [name for name in NAMES if entry(name).customizations])
def test_limits_are_ordered(name: str) -> None:
    """The minimum is not above the advice, the advice not above the maximum, a row fits the context."""
    model = entry(name)
    for customization in model.customizations:
        limits = model.limits_of(customization)
        assert limits is not None

        assert 0 < limits.min_train_rows <= limits.advised_train_rows <= (limits.max_rows or 10**9)
        assert (limits.max_tokens_per_row or 0) <= (model.context_tokens or 0)
        assert 1 < limits.chars_per_token < 8
        assert (limits.max_caption_characters is not None) == ("image-caption" in model.formats)


@pytest.mark.parametrize("name", [name for name in NAMES if "bedrock" in entry(name).platforms])
def test_bedrock_ids_are_ones_that_the_api_takes(name: str) -> None:
    """Ids fit the service model's patterns; a training id with a context suffix is no inference id."""
    model = entry(name)
    offering = model.on("bedrock")

    if offering.training_id is not None:
        assert BASE_MODEL_IDENTIFIER.fullmatch(offering.training_id)
    assert all(MODEL_ID.fullmatch(each) for each in offering.ids)
    assert not re.search(r":\d+k$", offering.inference_id)
    assert offering.profile_id is None or re.fullmatch(r"us\.[a-z]+\..+", offering.profile_id)
    assert set(offering.regions) <= {"us-east-1", "us-west-2"}
    assert offering.regions
    assert model.end_of_life is None or re.fullmatch(r"20\d\d-\d\d-\d\d", model.end_of_life)


def test_no_id_means_two_models() -> None:
    """An id leads to one entry only."""
    ids = [each for name in NAMES for each in entry(name).ids]

    assert len(ids) == len(set(ids))


def test_published_prices_and_ranges_are_the_catalogues() -> None:
    """Figures that money depends on are pinned."""
    micro, two = entry("nova-micro"), entry("nova-2-lite")
    assert micro.prices is not None
    assert two.prices is not None
    assert two.hyperparameters is not None

    assert micro.prices.training_usd_per_1k_tokens == 0.001
    assert two.prices.training_usd_per_1k_tokens == 0.00378
    assert two.prices.storage_usd_per_month == 1.95
    assert two.hyperparameters["learning_rate"] == rate("learningRate", 1e-6, 1e-4, 1e-5)
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
    """A Hugging Face folder is an entry of one name for all folders, with the context of its config.json."""
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 4096}')

    model = for_directory(folder)

    assert (model.name, model.on("local").training_id) == ("local-directory", str(folder))
    assert model.context_tokens == 4096
    assert model.limits is not None
    assert model.limits.max_tokens_per_row == 4096


@pytest.mark.parametrize("content", [None, "not json", '{"max_position_embeddings": "many"}'])
def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, content: str | None) -> None:
    """Without a readable config.json the message says so and lists the named models."""
    if content is not None:
        (tmp_path / "config.json").write_text(content)

    with pytest.raises(DataError, match=matching("base_models/not-hugging-face-model-folder")):
        for_directory(tmp_path)


def test_a_platform_without_the_model_is_named_with_those_that_have_it() -> None:
    """What a platform offers is looked up by its name, and a platform without the model is an error."""
    model = entry("nova-lite")

    assert model.on("bedrock") is model.offering
    with pytest.raises(DataError, match=r"'local', only on bedrock"):
        model.on("local")


def test_the_ids_of_a_model_are_those_of_all_its_platforms() -> None:
    """A model on two platforms answers to the ids of both, and its usual platform is the first."""
    nova, tiny = entry("nova-lite").on("bedrock"), entry("tiny-llama").on("local")
    both = msgspec.structs.replace(entry("nova-lite"), platforms={"local": tiny, "bedrock": nova})

    assert both.ids == (*tiny.ids, *nova.ids)
    assert both.offering is tiny
    assert (tiny.takes_file_name("my rows.jsonl"), nova.takes_file_name("my rows.jsonl")) == (True, False)
