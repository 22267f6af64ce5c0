"""A base model's facts, with sources and dates; there is no behaviour here.

To add one, write one file here that contains one `BaseModelEntry`, named after the file, with dashes; or add
a row to the table of its model family (`llama.py`). A fact without a source is None, never a guess; `sources`
says where each fact was read.

    nova-lite                                                          its name
    amazon.nova-lite-v1:0:300k, us.amazon.nova-lite-v1:0               any of its ids
    arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0  a foundation model's ARN
    arn:aws:bedrock:...:custom-model/amazon.nova-lite-v1:0:300k/...    a custom model, to train further
    ./models/mine                                                      a folder of weights
"""

from __future__ import annotations

import re
from datetime import date
from difflib import get_close_matches
from pathlib import Path

import msgspec

from polytune.base_models._facts import Automatic as Automatic
from polytune.base_models._facts import BaseModelEntry as BaseModelEntry
from polytune.base_models._facts import Capability as Capability
from polytune.base_models._facts import Customization as Customization
from polytune.base_models._facts import DeploymentRoute as DeploymentRoute
from polytune.base_models._facts import FactSource as FactSource
from polytune.base_models._facts import Hyperparameter as Hyperparameter
from polytune.base_models._facts import Limits as Limits
from polytune.base_models._facts import Media as Media
from polytune.base_models._facts import MediaKind as MediaKind
from polytune.base_models._facts import Number as Number
from polytune.base_models._facts import Offering as Offering
from polytune.base_models._facts import Prices as Prices
from polytune.base_models._facts import Reserved as Reserved
from polytune.base_models._facts import TeacherInvocation as TeacherInvocation
from polytune.base_models._facts import TrainingApi as TrainingApi
from polytune.base_models._facts import count as count
from polytune.base_models._facts import rate as rate
from polytune.errors import DataError, Obstacle, PolytuneError
from polytune.registry import Catalogue, UnknownMember

BASE_MODELS = Catalogue("base_models", "base model", BaseModelEntry)

bedrock_arn = re.compile(
    r"arn:aws(?:-[^:]+)?:bedrock:[a-z0-9-]{1,20}:(?:[0-9]{12})?:(?P<kind>[a-z-]+)/(?P<id>[^/]+)"
    r"(?:/(?P<model>[a-z0-9]{12}))?"
)
"""ARNs of foundation models, inference profiles and custom models, following botocore's patterns."""
profile_prefix = re.compile(r"(?:us|us-gov|eu|apac|jp|au|ca|global)\.(?=.+\.)")
"""The geography that turns a model's id into an inference profile's id."""

local_formats = ("bedrock-conversation-2024", "prompt-completion")
unstated_context_tokens = 2048
"""For a `config.json` without `max_position_embeddings`: Llama's default in transformers."""


def is_folder(name: str) -> bool:
    """Whether a spec's `base_model` is a folder's path, not a name, an id or an ARN."""
    return "/" in name and not name.startswith("arn:")


def custom_model_arn(name: str) -> str | None:
    """The name itself if it is the ARN of a custom model, which a job can train further; else None."""
    found = bedrock_arn.fullmatch(name)
    return name if found and found["kind"] == "custom-model" and found["model"] else None


def end_of_life_obstacle(entry: BaseModelEntry, today: date) -> Obstacle | None:
    """Return that the model's end of life, as far as the catalogue knows it, has passed."""
    if not entry.has_ended(today.isoformat()):
        return None
    source = entry.source_of("end_of_life")
    cited = f" ({source.where}, {source.date})" if source else ""
    cause = f"{entry.title} reached its end of life on {entry.end_of_life}{cited}"
    return Obstacle(cause, "Choose another model; `polytune model list` shows them")


def checked_base_model(name: str) -> str:
    """A spec's `base_model` in its canonical spelling, which is hashed: a path or a custom model's ARN
    unchanged, any id as the short name. Raises ValueError for an unknown one."""
    if is_folder(name):
        return name
    try:
        found = name_of(name)
    except PolytuneError as error:
        # pydantic reports only a ValueError together with the field's place in the file.
        raise ValueError(str(error)) from error
    return name if custom_model_arn(name) else found


def find_base_model(name: str, near: Path) -> BaseModelEntry:
    """The entry for a spec's `base_model`; a path is relative to the folder `near`.

    Raises UnknownMember for an unknown name or id, DataError for an ARN that is not a base model's and for
    a folder that contains no model.
    """
    return for_directory((near / name).resolve()) if is_folder(name) else BASE_MODELS.get(name_of(name))


def stated_base_model(name: str) -> BaseModelEntry:
    """The entry for a spec's `base_model`; for a folder, what holds for every folder."""
    return LOCAL_DIRECTORY if is_folder(name) else BASE_MODELS.get(name_of(name))


def name_of(name: str) -> str:
    """The short name of the base model that `name` (a short name, an id or an ARN) refers to.

    Raises UnknownMember, with the closest name or id, and DataError for an ARN that is not a base model's.
    """
    if name.startswith("arn:"):
        name = _id_in(name)
    names = BASE_MODELS.names()
    if name in names:
        return name
    if "." not in name and ":" not in name:
        raise UnknownMember("base model", name, names)
    # The exact id goes first: the profiles that entries list are more certain than a stripped prefix.
    ids = {each: entry for entry in names for each in BASE_MODELS.get(entry).ids if each != entry}
    plain = profile_prefix.sub("", name)
    if name not in ids and plain not in ids:
        raise UnknownMember("base model", name, get_close_matches(name, ids, n=1) or names)
    return ids.get(name) or ids[plain]


def _id_in(arn: str) -> str:
    """The model id in an ARN."""
    found = bedrock_arn.fullmatch(arn)
    kind = found["kind"] if found else ""
    if found is None or (kind == "custom-model") != bool(found["model"]):
        raise DataError(
            f"{arn}: not the ARN of a base model. Give arn:aws:bedrock:REGION::foundation-model/ID, or "
            "arn:aws:bedrock:REGION:ACCOUNT:custom-model/ID/..., or a name."
        )
    if kind == "custom-model" and found["id"] == "imported":
        raise DataError(
            f"{arn}: an imported model does not say what it was made from, and Bedrock cannot train it "
            "further. Name the base model itself."
        )
    if kind not in ("foundation-model", "custom-model", "inference-profile"):
        raise DataError(
            f"{arn}: the ARN of a {kind.replace('-', ' ')}, not of a base model. "
            "Give the model's own ARN, an id or a name."
        )
    return found["id"]


class HuggingFaceConfig(msgspec.Struct, frozen=True):
    """The part of a model folder's `config.json` that states the context length."""

    max_position_embeddings: int = unstated_context_tokens


def for_directory(folder: Path) -> BaseModelEntry:
    """The entry for a causal language model in a local Hugging Face folder, under the name of all folders.

    Raises DataError when the folder has no readable `config.json`.
    """
    path = folder / "config.json"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; a base model with a / in it is a folder's path")
    try:
        config = msgspec.json.decode(path.read_bytes(), type=HuggingFaceConfig)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{folder}: not a Hugging Face model folder: {error}. "
            f"Give a folder with config.json, or one of: {', '.join(BASE_MODELS.names())}."
        ) from error
    return msgspec.structs.replace(
        # What a folder is called is in no key, so it must be in no output either.
        LOCAL_DIRECTORY,
        platforms={
            "local": msgspec.structs.replace(
                LOCAL_DIRECTORY.platforms["local"],
                training_id=str(folder),
                inference_id=str(folder),
                folder=str(folder),
            )
        },
        context_tokens=config.max_position_embeddings,
        limits=_local_limits(config.max_position_embeddings),
    )


def _local_limits(context_tokens: int) -> Limits:
    return Limits(
        min_train_rows=1,
        advised_train_rows=8,
        max_rows=None,
        max_tokens_per_row=context_tokens,
        chars_per_token=3.0,
    )


LOCAL_DIRECTORY = BaseModelEntry(
    name="local-directory",
    title="a local Hugging Face folder",
    platforms={
        "local": Offering(
            training_api="local",
            training_id="local-directory",
            inference_id="local-directory",
            regions=(),
            methods=("lora", "full"),
        ),
    },
    customizations=("fine_tuning",),
    formats=local_formats,
    blocks=(),
    limits=_local_limits(unstated_context_tokens),
    hyperparameters={
        "epochs": count("epochs", 1, 100, 1),
        "learning_rate": rate("learning_rate", 1e-7, 1e-1, 2e-4),
        "warmup_steps": count("warmup_steps", 0, 10_000, 10),
        "batch_size": count("batch_size", 1, 1024, 4),
    },
    reserved=Reserved(),
    teachers=(),
    context_tokens=unstated_context_tokens,
    capabilities=("system_prompt",),
    prices=None,
    sources=(
        FactSource(
            "polytune: bounds and defaults chosen for LoRA on a model of unknown size",
            "2026-11-21",
            (
                "limits",
                "hyperparameters",
                "methods",
                "formats",
                "customizations",
                "context_tokens",
                "capabilities",
            ),
        ),
        FactSource("the folder itself", "2026-11-21", ("training_id", "inference_id", "training_api")),
    ),
)
"""The facts that apply to every local Hugging Face folder, before its `config.json` is read."""
