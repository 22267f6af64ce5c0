"""Meta Llama 3.2 1B Instruct: the smallest of the family, until its end of life."""

from __future__ import annotations

from polytune.base_models import _bedrock, _llama
from polytune.base_models.interface import BaseModelEntry, Offering, Prices, Reserved, Source

LLAMA_3_2_1B = BaseModelEntry(
    name="llama-3-2-1b",
    title="Meta Llama 3.2 1B Instruct",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id="meta.llama3-2-1b-instruct-v1:0:128k",
            inference_id="us.meta.llama3-2-1b-instruct-v1:0",
            profile_id="us.meta.llama3-2-1b-instruct-v1:0",
            other_ids=("meta.llama3-2-1b-instruct-v1:0",),
            regions=("us-west-2",),
            file_names=_bedrock.file_names,
            deployments=("provisioned",),
        ),
    },
    customizations=("fine_tuning", "distillation"),
    refused=_bedrock.no_continued_pre_training,
    formats=_llama.conversation,
    blocks=(),
    stricter=_llama.stricter,
    limits=_llama.limits(),
    other_limits={"distillation": _llama.distillation_limits},
    hyperparameters=_llama.hyperparameters(),
    reserved=Reserved(),
    teachers=("llama-3-1-405b", "llama-3-1-70b", "llama-3-3-70b"),
    context_tokens=128_000,
    max_output_tokens=4096,
    capabilities=("system_prompt", "streaming", "document_input"),
    end_of_life="2026-07-07",
    prices=Prices(
        input_usd_per_1k_tokens=0.0001,
        output_usd_per_1k_tokens=0.0001,
        storage_usd_per_month=_bedrock.storage_usd_per_month,
    ),
    sources=(
        *_llama.sources(),
        Source("the id without its region; calls name the profile", _bedrock.read, ("other_ids",)),
        _bedrock.distillation_source,
        Source(_bedrock.teacher_table, _bedrock.read, ("teachers", "customizations")),
        Source(_bedrock.lifecycle, "2026-09-18", ("end_of_life",)),
    ),
)
