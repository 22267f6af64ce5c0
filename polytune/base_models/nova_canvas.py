"""Amazon Nova Canvas: makes images; trained on captioned images until its end of life."""

from __future__ import annotations

from polytune.base_models import _bedrock, _images
from polytune.base_models.interface import BaseModelEntry, Offering, Prices, Reserved, Source, count, rate

NOVA_CANVAS = BaseModelEntry(
    name="nova-canvas",
    title="Amazon Nova Canvas",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id="amazon.nova-canvas-v1:0",
            inference_id="amazon.nova-canvas-v1:0",
            regions=("us-east-1",),
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
        "steps": count("stepCount", 10, 20_000, 500),
        "learning_rate": rate("learningRate", 1e-7, 1e-4, 1e-5),
    },
    reserved=Reserved(),
    teachers=(),
    context_tokens=None,
    capabilities=(),
    end_of_life="2026-09-30",
    prices=Prices(storage_usd_per_month=_bedrock.storage_usd_per_month),
    sources=(
        *_images.sources(),
        Source(_bedrock.lifecycle, "2026-09-18", ("end_of_life",)),
        Source(
            "api-evangelist/amazon-nova, lifecycle/amazon-nova-lifecycle.yml (repeats the lifecycle page)",
            "2026-09-01",
            ("end_of_life",),
        ),
    ),
)
