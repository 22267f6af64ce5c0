"""Meta Llama 3.2 11B Vision Instruct: text and images in, until its end of life."""

from __future__ import annotations

from polytune.base_models import _bedrock, _llama
from polytune.base_models.interface import BaseModelEntry, Offering, Prices, Reserved, Source

LLAMA_3_2_11B = BaseModelEntry(
    name="llama-3-2-11b",
    title="Meta Llama 3.2 11B Vision Instruct",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id="meta.llama3-2-11b-instruct-v1:0:128k",
            inference_id="us.meta.llama3-2-11b-instruct-v1:0",
            profile_id="us.meta.llama3-2-11b-instruct-v1:0",
            other_ids=("meta.llama3-2-11b-instruct-v1:0",),
            regions=("us-west-2",),
            file_names=_bedrock.file_names,
            deployments=("provisioned",),
        ),
    },
    customizations=("fine_tuning",),
    refused=_bedrock.no_continued_pre_training,
    formats=_llama.conversation,
    blocks=("image",),
    stricter=_llama.stricter,
    media=_llama.media,
    limits=_llama.limits(),
    hyperparameters=_llama.hyperparameters(),
    reserved=Reserved(),
    teachers=(),
    context_tokens=128_000,
    max_output_tokens=4096,
    capabilities=("system_prompt", "streaming", "tools", "image_input", "document_input"),
    end_of_life="2026-07-07",
    prices=Prices(
        input_usd_per_1k_tokens=0.00016,
        output_usd_per_1k_tokens=0.00016,
        storage_usd_per_month=_bedrock.storage_usd_per_month,
    ),
    sources=(
        *_llama.sources(),
        Source("the id without its region; calls name the profile", _bedrock.read, ("other_ids",)),
        Source(_bedrock.lifecycle, "2026-09-18", ("end_of_life",)),
    ),
)
