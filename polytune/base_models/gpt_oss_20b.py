"""OpenAI gpt-oss-20b: trained by reinforcement through the OpenAI-compatible endpoint."""

from __future__ import annotations

from polytune.base_models import _bedrock, _open_weight
from polytune.base_models.interface import BaseModelEntry, Offering, Prices, Reserved

GPT_OSS_20B = BaseModelEntry(
    name="gpt-oss-20b",
    title="OpenAI gpt-oss-20b",
    platforms={
        "bedrock": Offering(
            training_api="openai_compatible",
            untrained_because=_open_weight.untrained_because,
            training_id="openai.gpt-oss-20b",
            inference_id="openai.gpt-oss-20b-1:0",
            regions=("us-west-2",),
            file_names=_bedrock.file_names,
        ),
    },
    customizations=("reinforcement_fine_tuning",),
    refused=_open_weight.refused,
    formats=(),
    other_formats=_open_weight.formats,
    blocks=("tools",),
    limits=None,
    other_limits=_open_weight.limits,
    hyperparameters=None,
    reinforcement=_open_weight.reinforcement(),
    reserved=Reserved(),
    teachers=(),
    context_tokens=128_000,
    max_output_tokens=16_384,
    capabilities=("tools", "reasoning"),
    prices=Prices(input_usd_per_1k_tokens=0.00007, output_usd_per_1k_tokens=0.0003),
    sources=_open_weight.sources(),
)
