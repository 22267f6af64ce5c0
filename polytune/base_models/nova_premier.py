"""Amazon Nova Premier: taught the other first-generation Novas until its end of life."""

from __future__ import annotations

from polytune.base_models import _bedrock, _nova
from polytune.base_models.interface import BaseModelEntry, Offering, Prices, Reserved, Source

NOVA_PREMIER = BaseModelEntry(
    name="nova-premier",
    title="Amazon Nova Premier",
    platforms={
        "bedrock": Offering(
            training_api="bedrock",
            training_id=None,
            inference_id="us.amazon.nova-premier-v1:0",
            profile_id="us.amazon.nova-premier-v1:0",
            other_ids=("amazon.nova-premier-v1:0",),
            regions=("us-east-1",),
            teacher_invocation=("profile",),
        ),
    },
    customizations=(),
    formats=(),
    blocks=(),
    limits=None,
    hyperparameters=None,
    reserved=Reserved(),
    teachers=(),
    context_tokens=1_000_000,
    max_output_tokens=10_000,
    capabilities=("system_prompt", "streaming", "tools", "image_input", "video_input", "document_input"),
    end_of_life="2026-09-14",
    prices=Prices(input_usd_per_1k_tokens=0.0025, output_usd_per_1k_tokens=0.0125),
    sources=(
        Source(
            _bedrock.teacher_table,
            _nova.read,
            ("inference_id", "profile_id", "other_ids", "regions", "training_api", "teacher_invocation"),
        ),
        Source(f"{_nova.nova_guide}/userguide/using-converse-api.html", _nova.read, ("capabilities",)),
        Source(
            "docs.rs/mixtape-core, models/nova.rs (repeats the model card)", _nova.read, ("context_tokens",)
        ),
        Source(_bedrock.litellm, _nova.read, ("max_output_tokens", "prices")),
        Source(
            "api-evangelist/amazon-nova, lifecycle/amazon-nova-lifecycle.yml (repeats the lifecycle page)",
            "2026-09-01",
            ("end_of_life",),
        ),
        Source(_bedrock.lifecycle, "2026-09-18", ("end_of_life",)),
    ),
)
