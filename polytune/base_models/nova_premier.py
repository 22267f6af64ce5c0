"""Amazon Nova Premier: teaches the other first-generation Novas; cannot be trained itself."""

from __future__ import annotations

from polytune.base_models import _nova
from polytune.base_models.interface import BaseModelEntry, Prices, Reserved, Source

NOVA_PREMIER = BaseModelEntry(
    name="nova-premier",
    title="Amazon Nova Premier",
    platform="bedrock",
    training_id=None,
    inference_id="us.amazon.nova-premier-v1:0",
    regions=("us-east-1",),
    customizations=(),
    formats=(),
    blocks=(),
    limits=None,
    hyperparameters=None,
    reserved=Reserved(),
    teachers=(),
    context_tokens=1_000_000,
    capabilities=("system_prompt", "streaming", "tools", "image_input", "video_input", "document_input"),
    prices=Prices(),
    sources=(
        Source(_nova.teacher_table, _nova.read, ("inference_id", "regions")),
        Source(f"{_nova.nova_guide}/userguide/using-converse-api.html", _nova.read, ("capabilities",)),
        Source(
            "docs.rs/mixtape-core, models/nova.rs (repeats the model card)", _nova.read, ("context_tokens",)
        ),
        Source("no price was found in a source that can be cited", _nova.read, ("prices",)),
    ),
)
