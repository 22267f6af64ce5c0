"""Meta Llama 3.1 405B Instruct: taught the smaller Llamas until its end of life; never trained itself."""

from __future__ import annotations

from polytune.base_models import _bedrock
from polytune.base_models.interface import BaseModelEntry, Offering, Prices, Reserved, Source

LLAMA_3_1_405B = BaseModelEntry(
    name="llama-3-1-405b",
    title="Meta Llama 3.1 405B Instruct",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id=None,
            inference_id="meta.llama3-1-405b-instruct-v1:0",
            profile_id="us.meta.llama3-1-405b-instruct-v1:0",
            regions=("us-west-2",),
            teacher_invocation=("on_demand",),
        ),
    },
    customizations=(),
    formats=(),
    blocks=(),
    limits=None,
    hyperparameters=None,
    reserved=Reserved(),
    teachers=(),
    context_tokens=128_000,
    max_output_tokens=4096,
    capabilities=("system_prompt", "streaming", "tools", "document_input"),
    end_of_life="2026-07-07",
    prices=Prices(input_usd_per_1k_tokens=0.0024, output_usd_per_1k_tokens=0.0024),
    sources=(
        Source(
            _bedrock.teacher_table,
            _bedrock.read,
            ("inference_id", "regions", "training_api", "teacher_invocation"),
        ),
        Source(_bedrock.converse_features, _bedrock.read, ("capabilities",)),
        Source(
            _bedrock.litellm,
            _bedrock.read,
            ("profile_id", "context_tokens", "max_output_tokens", "prices", "end_of_life"),
        ),
        Source(_bedrock.lifecycle, "2026-09-18", ("end_of_life",)),
    ),
)
