"""The models that are customized with captioned images: facts they share, and a row for each model.

Nova Canvas and Titan Image Generator generate images; Titan Multimodal Embeddings turns texts and images
into vectors.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from polytune.base_models import _bedrock
from polytune.base_models.interface import (
    BaseModelEntry,
    FactSource,
    Hyperparameter,
    Limits,
    Media,
    Offering,
    Prices,
    Reserved,
    count,
    rate,
)

sources = (
    FactSource(
        _bedrock.supported_models,
        _bedrock.read,
        ("training_id", "training_api", "inference_id", "regions", "customizations"),
    ),
    FactSource(_bedrock.data_rules, _bedrock.read, ("formats", "blocks", "limits", "media")),
    FactSource("4 characters per token: assumed, as nothing is said of captions", _bedrock.read, ("limits",)),
    FactSource(_bedrock.hyperparameter_ranges, _bedrock.read, ("hyperparameters",)),
    FactSource(_bedrock.provisioned, _bedrock.read, ("deployments",)),
    _bedrock.refusal_source,
    _bedrock.file_names_source,
    _bedrock.storage_source,
)
"""The sources of the facts that these models share."""

generator_limits = Limits(
    min_train_rows=5,
    advised_train_rows=5,
    max_rows=10_000,
    max_tokens_per_row=None,
    chars_per_token=4.0,
    max_validation_rows=0,
    min_caption_characters=3,
    max_caption_characters=1024,
)
generator_media = Media(
    kind="image",
    formats=("jpeg", "png"),
    most_per_row=1,
    max_bytes=50_000_000,
    min_side_pixels=512,
    max_side_pixels=4096,
    max_pixels=12_582_912,
    max_aspect=4.0,
)


class ImageModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the models that are customized with captioned images."""

    title: str
    training_id: str
    inference_id: str
    regions: tuple[str, ...]
    limits: Limits = generator_limits
    media: Media = generator_media
    hyperparameters: Mapping[str, Hyperparameter]
    end_of_life: str | None = None
    sources: tuple[FactSource, ...] = ()
    """The sources of this row only."""


rows: Mapping[str, ImageModelRow] = {
    "nova-canvas": ImageModelRow(
        title="Amazon Nova Canvas",
        training_id="amazon.nova-canvas-v1:0",
        inference_id="amazon.nova-canvas-v1:0",
        regions=("us-east-1",),
        hyperparameters={
            "batch_size": count("batchSize", 8, 192, 8),
            "steps": count("stepCount", 10, 20_000, 500),
            "learning_rate": rate("learningRate", 1e-7, 1e-4, 1e-5),
        },
        end_of_life="2026-09-30",
        sources=(
            FactSource(_bedrock.lifecycle, "2026-09-18", ("end_of_life",)),
            _bedrock.nova_lifecycle_source,
        ),
    ),
    "titan-image-v2": ImageModelRow(
        title="Amazon Titan Image Generator G1 v2",
        training_id="amazon.titan-image-generator-v2:0",
        inference_id="amazon.titan-image-generator-v2:0",
        regions=("us-east-1", "us-west-2"),
        hyperparameters={
            "batch_size": count("batchSize", 8, 192, 8),
            "steps": Hyperparameter(
                api_name="stepCount", minimum=10, maximum=40_000, required=True, auto="auto"
            ),
            "learning_rate": rate("learningRate", 1e-7, 1.0, 1e-5),
        },
        end_of_life="2026-06-30",
        sources=(
            FactSource(
                f"{_bedrock.lifecycle}; the same in {_bedrock.litellm}", "2026-09-18", ("end_of_life",)
            ),
        ),
    ),
    "titan-multimodal-embeddings": ImageModelRow(
        title="Amazon Titan Multimodal Embeddings G1",
        training_id="amazon.titan-embed-image-v1:0",
        inference_id="amazon.titan-embed-image-v1",
        regions=("us-east-1", "us-west-2"),
        limits=Limits(
            min_train_rows=1000,
            advised_train_rows=1000,
            max_rows=500_000,
            max_tokens_per_row=None,
            chars_per_token=4.0,
            max_validation_rows=0,
            max_caption_characters=2560,
        ),
        media=Media(
            kind="image",
            formats=("jpeg", "png"),
            most_per_row=1,
            max_bytes=5_000_000,
            min_side_pixels=128,
            max_side_pixels=4096,
        ),
        hyperparameters={
            "epochs": Hyperparameter(
                api_name="epochCount", minimum=1, maximum=100, required=True, auto="Auto"
            ),
            "batch_size": count("batchSize", 256, 9216, 576),
            "learning_rate": rate("learningRate", 5e-8, 1.0, 5e-5),
        },
    ),
}


def _entry(name: str, row: ImageModelRow) -> BaseModelEntry:
    return BaseModelEntry(
        name=name,
        title=row.title,
        platforms={
            "bedrock": Offering(
                training_api="bedrock",
                training_id=row.training_id,
                inference_id=row.inference_id,
                regions=row.regions,
                file_names=_bedrock.file_names,
                deployments=("provisioned",),
            ),
        },
        customizations=("fine_tuning",),
        refused=_bedrock.no_continued_pre_training,
        formats=("image-caption",),
        blocks=("image",),
        media=(row.media,),
        limits=row.limits,
        hyperparameters=row.hyperparameters,
        reserved=Reserved(),
        teachers=(),
        context_tokens=None,
        capabilities=(),
        end_of_life=row.end_of_life,
        prices=Prices(storage_usd_per_month=_bedrock.storage_usd_per_month),
        sources=(*sources, *row.sources),
    )


IMAGE_MODELS: Mapping[str, BaseModelEntry] = {name: _entry(name, row) for name, row in rows.items()}
