"""Amazon Titan Multimodal Embeddings G1: texts and images as vectors; trained on captioned images."""

from __future__ import annotations

from polytune.base_models import _bedrock, _images
from polytune.base_models.interface import (
    BaseModelEntry,
    Hyperparameter,
    Limits,
    Media,
    Offering,
    Prices,
    Reserved,
    count,
    rate,
)

TITAN_MULTIMODAL_EMBEDDINGS = BaseModelEntry(
    name="titan-multimodal-embeddings",
    title="Amazon Titan Multimodal Embeddings G1",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id="amazon.titan-embed-image-v1:0",
            inference_id="amazon.titan-embed-image-v1",
            regions=("us-east-1", "us-west-2"),
            file_names=_bedrock.file_names,
            deployments=("provisioned",),
        ),
    },
    customizations=("fine_tuning",),
    refused=_bedrock.no_continued_pre_training,
    formats=("image-caption",),
    blocks=("image",),
    media=(
        Media(
            kind="image",
            formats=("jpeg", "png"),
            most_per_row=1,
            max_bytes=5_000_000,
            min_side_pixels=128,
            max_side_pixels=4096,
        ),
    ),
    limits=Limits(
        min_train_rows=1000,
        advised_train_rows=1000,
        max_rows=500_000,
        max_tokens_per_row=None,
        chars_per_token=4.0,
        max_validation_rows=0,
        max_caption_characters=2560,
    ),
    hyperparameters={
        "epochs": Hyperparameter(api_name="epochCount", minimum=1, maximum=100, required=True, auto="Auto"),
        "batch_size": count("batchSize", 256, 9216, 576),
        "learning_rate": rate("learningRate", 5e-8, 1.0, 5e-5),
    },
    reserved=Reserved(),
    teachers=(),
    context_tokens=None,
    capabilities=(),
    prices=Prices(storage_usd_per_month=_bedrock.storage_usd_per_month),
    sources=(*_images.sources(),),
)
