"""Amazon Nova, first generation: facts the models share, and a row for each model.

Micro, Lite and Pro can be trained: Micro is text only, the smallest and cheapest; Lite takes text, images
and video and returns text; Pro is the largest, and a distillation teacher for the smaller ones. Premier was
their teacher until its end of life and could never be trained.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from polytune.base_models import _bedrock, _nova
from polytune.base_models.interface import (
    Automatic,
    BaseModelEntry,
    Capability,
    FactSource,
    Limits,
    Offering,
    Prices,
    Reserved,
    TeacherInvocation,
)

first_generation_limits = Limits(
    min_train_rows=8,
    advised_train_rows=8,
    max_rows=20_000,
    max_tokens_per_row=32_000,
    chars_per_token=4.0,
)
distillation_limits = _bedrock.distillation_limits(max_tokens_per_row=32_000, chars_per_token=4.0)
inference_source = FactSource(f"{_nova.price_table}: inference", "2026-08-22", ("prices",))
custom_rate_source = FactSource(_nova.custom_rate, "2026", ("prices",))


class NovaRow(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the first-generation Nova models that Bedrock trains."""

    title: str
    size: str
    """Its size as spelled in its ids: micro."""
    context: str
    """The suffix of its training id: 128k."""
    context_tokens: int
    called_by_profile: bool = False
    """Whether calls use the inference profile's id; the plain id is then in `other_ids`."""
    capabilities: tuple[Capability, ...] = _nova.with_media
    rows_per_warmup_step: int
    """From AWS's advice by dataset size, of which only the warmup differs between the models."""
    teachers: tuple[str, ...]
    teacher_invocation: tuple[TeacherInvocation, ...] = ()
    price_family: str
    input_usd_per_1k_tokens: float
    """For the base model, and for a custom model on demand."""
    output_usd_per_1k_tokens: float
    training_usd_per_1k_tokens: float | None = None
    provisioned_usd_per_hour: float | None = None
    sources: tuple[FactSource, ...]
    """The sources of this row only."""


rows: Mapping[str, NovaRow] = {
    "nova-micro": NovaRow(
        title="Amazon Nova Micro",
        size="micro",
        context="128k",
        context_tokens=128_000,
        called_by_profile=True,
        capabilities=_nova.text_only,
        rows_per_warmup_step=640,
        teachers=("nova-pro", "nova-premier"),
        price_family="NovaMicro",
        input_usd_per_1k_tokens=0.000035,
        output_usd_per_1k_tokens=0.00014,
        training_usd_per_1k_tokens=0.001,
        sources=(
            FactSource(_bedrock.teacher_table, _nova.read, ("teachers", "customizations")),
            _nova.profile_source,
            FactSource(f"{_nova.price_list}: training", "2026-08", ("prices",)),
        ),
    ),
    "nova-lite": NovaRow(
        title="Amazon Nova Lite",
        size="lite",
        context="300k",
        context_tokens=300_000,
        rows_per_warmup_step=160,
        teachers=("nova-pro", "nova-premier"),
        price_family="NovaLite",
        input_usd_per_1k_tokens=0.00006,
        output_usd_per_1k_tokens=0.00024,
        provisioned_usd_per_hour=108.15,
        sources=(
            FactSource(_bedrock.teacher_table, _nova.read, ("teachers", "customizations")),
            FactSource(_bedrock.supported_models, _nova.read, ("inference_id",)),
            FactSource(
                "price of a model unit without commitment, as noted in a public cost sheet",
                "2025",
                ("prices",),
            ),
        ),
    ),
    "nova-pro": NovaRow(
        title="Amazon Nova Pro",
        size="pro",
        context="300k",
        context_tokens=300_000,
        rows_per_warmup_step=320,
        teachers=("nova-premier",),
        teacher_invocation=("on_demand", "profile"),
        price_family="NovaPro",
        input_usd_per_1k_tokens=0.0008,
        output_usd_per_1k_tokens=0.0032,
        sources=(
            FactSource(
                _bedrock.teacher_table,
                _nova.read,
                ("teachers", "teacher_invocation", "customizations", "inference_id"),
            ),
        ),
    ),
}


def _offering(row: NovaRow) -> Offering:
    plain = f"amazon.nova-{row.size}-v1:0"
    profile = f"us.{plain}"
    short_context = f"{plain}:24k"
    return Offering(
        training_api="bedrock",
        training_id=f"{plain}:{row.context}",
        inference_id=profile if row.called_by_profile else plain,
        profile_id=profile,
        other_ids=(plain, short_context) if row.called_by_profile else (short_context,),
        regions=_nova.regions,
        file_names=_bedrock.file_names,
        teacher_invocation=row.teacher_invocation,
        deployments=_nova.routes,
        price_family=row.price_family,
    )


def _automatic(row: NovaRow) -> Automatic:
    return Automatic(
        large_rows=5000,
        epochs_below=2,
        epochs_from=1,
        learning_rate=5e-5,
        rows_per_warmup_step=row.rows_per_warmup_step,
        most_warmup_steps=100,
    )


def _first_generation(name: str, row: NovaRow) -> BaseModelEntry:
    reads_media = "image_input" in row.capabilities
    return BaseModelEntry(
        name=name,
        title=row.title,
        platforms={"bedrock": _offering(row)},
        customizations=("fine_tuning", "distillation"),
        refused=_bedrock.no_continued_pre_training,
        formats=_nova.conversation,
        blocks=("image", "video") if reads_media else (),
        media=_nova.media if reads_media else (),
        limits=first_generation_limits,
        other_limits={"distillation": distillation_limits},
        hyperparameters=_nova.hyperparameters,
        automatic=_automatic(row),
        reserved=_nova.reserved_strings,
        teachers=row.teachers,
        context_tokens=row.context_tokens,
        max_output_tokens=10_000,
        capabilities=row.capabilities,
        prices=Prices(
            training_usd_per_1k_tokens=row.training_usd_per_1k_tokens,
            input_usd_per_1k_tokens=row.input_usd_per_1k_tokens,
            output_usd_per_1k_tokens=row.output_usd_per_1k_tokens,
            custom_input_usd_per_1k_tokens=row.input_usd_per_1k_tokens,
            custom_output_usd_per_1k_tokens=row.output_usd_per_1k_tokens,
            storage_usd_per_month=_bedrock.storage_usd_per_month,
            provisioned_usd_per_hour=row.provisioned_usd_per_hour,
        ),
        sources=(
            *_nova.training_sources,
            _bedrock.distillation_source,
            inference_source,
            custom_rate_source,
            *row.sources,
        ),
    )


NOVA: Mapping[str, BaseModelEntry] = {
    **{name: _first_generation(name, row) for name, row in rows.items()},
    "nova-premier": BaseModelEntry(
        name="nova-premier",
        title="Amazon Nova Premier",
        platforms={
            "bedrock": Offering(
                training_api="bedrock",
                training_id=None,
                inference_id="us.amazon.nova-premier-v1:0",
                profile_id="us.amazon.nova-premier-v1:0",
                other_ids=("amazon.nova-premier-v1:0",),
                regions=_nova.regions,
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
        capabilities=_nova.with_media,
        end_of_life="2026-09-14",
        prices=Prices(input_usd_per_1k_tokens=0.0025, output_usd_per_1k_tokens=0.0125),
        sources=(
            FactSource(
                _bedrock.teacher_table,
                _nova.read,
                ("inference_id", "profile_id", "other_ids", "regions", "training_api", "teacher_invocation"),
            ),
            FactSource(
                f"{_nova.nova_guide}/userguide/using-converse-api.html", _nova.read, ("capabilities",)
            ),
            FactSource(
                "docs.rs/mixtape-core, models/nova.rs (repeats the model card)",
                _nova.read,
                ("context_tokens",),
            ),
            FactSource(_bedrock.litellm, _nova.read, ("max_output_tokens", "prices")),
            _bedrock.nova_lifecycle_source,
            FactSource(_bedrock.lifecycle, "2026-09-18", ("end_of_life",)),
        ),
    ),
}
