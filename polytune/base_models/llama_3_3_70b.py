"""Meta Llama 3.3 70B Instruct: text; the only Llama whose custom models answer on demand."""

from __future__ import annotations

from polytune.base_models import _bedrock, _llama
from polytune.base_models.interface import BaseModelEntry, Offering, Prices, Reserved, Source

LLAMA_3_3_70B = BaseModelEntry(
    name="llama-3-3-70b",
    title="Meta Llama 3.3 70B Instruct",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id="meta.llama3-3-70b-instruct-v1:0:128k",
            inference_id="us.meta.llama3-3-70b-instruct-v1:0",
            profile_id="us.meta.llama3-3-70b-instruct-v1:0",
            other_ids=("meta.llama3-3-70b-instruct-v1:0",),
            regions=("us-west-2",),
            file_names=_bedrock.file_names,
            teacher_invocation=("profile",),
            deployments=("on_demand",),
            price_family="Llama3-3-70B",
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
    teachers=("llama-3-1-405b",),
    context_tokens=128_000,
    max_output_tokens=4096,
    capabilities=("system_prompt", "streaming", "tools", "document_input"),
    end_of_life="2027-03-30",
    prices=Prices(
        training_usd_per_1k_tokens=0.0033,
        custom_input_usd_per_1k_tokens=0.00072,
        custom_output_usd_per_1k_tokens=0.00072,
        input_usd_per_1k_tokens=0.00072,
        output_usd_per_1k_tokens=0.00072,
        storage_usd_per_month=_bedrock.storage_usd_per_month,
    ),
    sources=(
        *_llama.sources(),
        Source("the id without its region; calls name the profile", _bedrock.read, ("other_ids",)),
        _bedrock.distillation_source,
        Source(_bedrock.teacher_table, _bedrock.read, ("teachers", "teacher_invocation", "customizations")),
        Source(_bedrock.on_demand, _bedrock.read, ("deployments",)),
        Source(
            "AWS Price List API, us-west-2, as queried by a project with real jobs; hyperparameters as its "
            "jobs report them; the training price stands in a second project's notes too",
            "2026-08",
            ("prices", "price_family", "hyperparameters"),
        ),
    ),
)
