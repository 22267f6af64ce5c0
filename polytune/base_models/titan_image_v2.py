"""Amazon Titan Image Generator G1 v2: makes images; trained on captioned images until its end of life."""

from __future__ import annotations

from polytune.base_models import _bedrock, _images
from polytune.base_models.interface import (
    BaseModelEntry,
    Hyperparameter,
    Offering,
    Prices,
    Reserved,
    Source,
    count,
    rate,
)

TITAN_IMAGE_V2 = BaseModelEntry(
    name="titan-image-v2",
    title="Amazon Titan Image Generator G1 v2",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id="amazon.titan-image-generator-v2:0",
            inference_id="amazon.titan-image-generator-v2:0",
            regions=("us-east-1", "us-west-2"),
            file_names=_bedrock.file_names,
            deployments=("provisioned",),
        ),
    },
    customizations=("fine_tuning",),
    refused=_bedrock.no_continued_pre_training,
    formats=("image-caption",),
    blocks=("image",),
    media=_images.generator_media,
    limits=_images.generator_limits,
    hyperparameters={
        "batch_size": count("batchSize", 8, 192, 8),
        "steps": Hyperparameter(api_name="stepCount", minimum=10, maximum=40_000, required=True, auto="auto"),
        "learning_rate": rate("learningRate", 1e-7, 1.0, 1e-5),
    },
    reserved=Reserved(),
    teachers=(),
    context_tokens=None,
    capabilities=(),
    end_of_life="2026-06-30",
    prices=Prices(storage_usd_per_month=_bedrock.storage_usd_per_month),
    sources=(
        *_images.sources(),
        Source(f"{_bedrock.lifecycle}; the same in {_bedrock.litellm}", "2026-09-18", ("end_of_life",)),
    ),
)
