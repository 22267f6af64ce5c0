"""Meta's Llama 3.1, 3.2 and 3.3 Instruct: facts they share, and a row for each model.

405B was a distillation teacher until its end of life and could never be trained. 3.1 is trained on prompts
and completions, 3.2 and 3.3 on conversations; 11B and 90B accept images; only 3.3 70B can be deployed on
demand after customization.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from polytune.base_models import _bedrock
from polytune.base_models.interface import (
    BaseModelEntry,
    Capability,
    DeploymentRoute,
    FactSource,
    Limits,
    Media,
    Offering,
    Prices,
    Reserved,
    TeacherInvocation,
    count,
    rate,
)

regions = ("us-west-2",)
context_tokens = 128_000
max_output_tokens = 4096
text_only: tuple[Capability, ...] = ("system_prompt", "streaming", "tools", "document_input")
with_images: tuple[Capability, ...] = ("system_prompt", "streaming", "tools", "image_input", "document_input")
without_tools: tuple[Capability, ...] = ("system_prompt", "streaming", "document_input")

stricter = ("schema-version", "empty-system", "many-systems", "multi-turn-distillation")
"""What AWS's validators reject for Llama and accept for Nova."""
image_rules = (
    Media(
        kind="image",
        formats=("gif", "jpeg", "png", "webp"),
        max_bytes=10_000_000,
        min_side_pixels=10,
        max_side_pixels=8192,
    ),
)
limits = Limits(
    min_train_rows=100,
    min_counts_validation=True,
    advised_train_rows=100,
    max_rows=10_000,
    max_tokens_per_row=16_000,
    chars_per_token=6.0,
    max_validation_rows=1000,
)
"""Row limits; 6 characters per token is the estimate on AWS's data preparation page."""
distillation_limits = _bedrock.distillation_limits(max_tokens_per_row=16_000, chars_per_token=6.0)
conversation = ("bedrock-conversation-2024",)
hyperparameters = {
    "epochs": count("epochCount", 1, 10, 5),
    "learning_rate": rate("learningRate", 5e-6, 0.1, 1e-4),
    "batch_size": count("batchSize", 1, 1, 1),
}
"""The documented ranges of Llama 3.1 and 3.2; real jobs report the same for 3.3."""

sources = (
    FactSource(
        _bedrock.supported_models,
        _bedrock.read,
        ("training_id", "training_api", "regions", "formats", "context_tokens", "customizations"),
    ),
    FactSource(_bedrock.data_rules, _bedrock.read, ("formats", "blocks", "limits", "media")),
    FactSource(
        "aws-samples/amazon-bedrock-samples @85fba9d, meta-llama/dataset_validation",
        "2026-08-21",
        ("limits", "stricter"),
    ),
    FactSource(_bedrock.hyperparameter_ranges, _bedrock.read, ("hyperparameters",)),
    FactSource(_bedrock.provisioned, _bedrock.read, ("deployments",)),
    FactSource(_bedrock.converse_features, _bedrock.read, ("capabilities",)),
    FactSource(
        _bedrock.litellm,
        _bedrock.read,
        ("inference_id", "profile_id", "max_output_tokens", "prices", "end_of_life", "capabilities"),
    ),
    _bedrock.refusal_source,
    _bedrock.file_names_source,
    _bedrock.storage_source,
)
"""The sources of the facts that the trainable Llama models share."""
plain_id_source = FactSource(
    "the id without its region; calls name the profile", _bedrock.read, ("other_ids",)
)
lifecycle_source = FactSource(_bedrock.lifecycle, "2026-09-18", ("end_of_life",))
teacher_fields = ("teachers", "teacher_invocation", "customizations")
price_list_source = FactSource(
    "AWS Price List API, us-west-2, as queried by a project with real jobs; hyperparameters as its "
    "jobs report them; the training price stands in a second project's notes too",
    "2026-08",
    ("prices", "price_family", "hyperparameters"),
)


class LlamaRow(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the Llama models that Bedrock trains."""

    title: str
    version: str
    """Version and size as spelled in its ids: 3-1-8b."""
    called_by_profile: bool = True
    """Whether calls use the inference profile's id; the plain id is then in `other_ids`."""
    usd_per_1k_tokens: float
    """For input and for output, which cost the same."""
    end_of_life: str
    capabilities: tuple[Capability, ...] = text_only
    formats: tuple[str, ...] = conversation
    limits: Limits = limits
    teachers: tuple[str, ...] = ()
    """Its teachers for distillation; empty when it can only be fine-tuned."""
    teacher_invocation: tuple[TeacherInvocation, ...] = ()
    deployments: tuple[DeploymentRoute, ...] = ("provisioned",)
    price_family: str | None = None
    training_usd_per_1k_tokens: float | None = None
    sources: tuple[FactSource, ...]
    """The sources of this row only."""


rows: Mapping[str, LlamaRow] = {
    "llama-3-1-8b": LlamaRow(
        title="Meta Llama 3.1 8B Instruct",
        version="3-1-8b",
        called_by_profile=False,
        usd_per_1k_tokens=0.00022,
        end_of_life="2027-03-30",
        formats=("prompt-completion",),
        teachers=("llama-3-1-405b", "llama-3-1-70b", "llama-3-3-70b"),
        sources=(FactSource(_bedrock.teacher_table, _bedrock.read, ("teachers", "customizations")),),
    ),
    "llama-3-1-70b": LlamaRow(
        title="Meta Llama 3.1 70B Instruct",
        version="3-1-70b",
        called_by_profile=False,
        usd_per_1k_tokens=0.00072,
        end_of_life="2027-03-30",
        formats=("prompt-completion",),
        teachers=("llama-3-1-405b",),
        teacher_invocation=("on_demand", "profile"),
        sources=(FactSource(_bedrock.teacher_table, _bedrock.read, teacher_fields),),
    ),
    "llama-3-2-1b": LlamaRow(
        title="Meta Llama 3.2 1B Instruct",
        version="3-2-1b",
        usd_per_1k_tokens=0.0001,
        end_of_life="2026-07-07",
        capabilities=without_tools,
        teachers=("llama-3-1-405b", "llama-3-1-70b", "llama-3-3-70b"),
        sources=(
            FactSource(_bedrock.teacher_table, _bedrock.read, ("teachers", "customizations")),
            lifecycle_source,
        ),
    ),
    "llama-3-2-3b": LlamaRow(
        title="Meta Llama 3.2 3B Instruct",
        version="3-2-3b",
        usd_per_1k_tokens=0.00015,
        end_of_life="2026-07-07",
        capabilities=without_tools,
        teachers=("llama-3-1-70b", "llama-3-3-70b"),
        sources=(
            FactSource(_bedrock.teacher_table, _bedrock.read, ("teachers", "customizations")),
            lifecycle_source,
        ),
    ),
    "llama-3-2-11b": LlamaRow(
        title="Meta Llama 3.2 11B Vision Instruct",
        version="3-2-11b",
        usd_per_1k_tokens=0.00016,
        end_of_life="2026-07-07",
        capabilities=with_images,
        sources=(lifecycle_source,),
    ),
    "llama-3-2-90b": LlamaRow(
        title="Meta Llama 3.2 90B Vision Instruct",
        version="3-2-90b",
        usd_per_1k_tokens=0.00072,
        end_of_life="2026-07-07",
        capabilities=with_images,
        limits=msgspec.structs.replace(limits, max_tokens_per_row=10_000),
        sources=(lifecycle_source,),
    ),
    "llama-3-3-70b": LlamaRow(
        title="Meta Llama 3.3 70B Instruct",
        version="3-3-70b",
        usd_per_1k_tokens=0.00072,
        end_of_life="2027-03-30",
        teachers=("llama-3-1-405b",),
        teacher_invocation=("profile",),
        deployments=("on_demand",),
        price_family="Llama3-3-70B",
        training_usd_per_1k_tokens=0.0033,
        sources=(
            FactSource(_bedrock.teacher_table, _bedrock.read, teacher_fields),
            FactSource(_bedrock.on_demand, _bedrock.read, ("deployments",)),
            price_list_source,
        ),
    ),
}


def _offering(row: LlamaRow) -> Offering:
    plain = f"meta.llama{row.version}-instruct-v1:0"
    profile = f"us.{plain}"
    return Offering(
        training_api="bedrock",
        training_id=f"{plain}:128k",
        inference_id=profile if row.called_by_profile else plain,
        profile_id=profile,
        other_ids=(plain,) if row.called_by_profile else (),
        regions=regions,
        file_names=_bedrock.file_names,
        teacher_invocation=row.teacher_invocation,
        deployments=row.deployments,
        price_family=row.price_family,
    )


def _prices(row: LlamaRow) -> Prices:
    # The price list has custom inference prices only for models with a training price: for 3.3 only.
    custom = None if row.training_usd_per_1k_tokens is None else row.usd_per_1k_tokens
    return Prices(
        training_usd_per_1k_tokens=row.training_usd_per_1k_tokens,
        input_usd_per_1k_tokens=row.usd_per_1k_tokens,
        output_usd_per_1k_tokens=row.usd_per_1k_tokens,
        custom_input_usd_per_1k_tokens=custom,
        custom_output_usd_per_1k_tokens=custom,
        storage_usd_per_month=_bedrock.storage_usd_per_month,
    )


def _trainable(name: str, row: LlamaRow) -> BaseModelEntry:
    distils = bool(row.teachers)
    reads_images = "image_input" in row.capabilities
    return BaseModelEntry(
        name=name,
        title=row.title,
        platforms={"bedrock": _offering(row)},
        customizations=("fine_tuning", "distillation") if distils else ("fine_tuning",),
        refused=_bedrock.no_continued_pre_training,
        formats=row.formats,
        # Distillation takes conversations for every Llama, so they are listed where fine-tuning differs.
        other_formats={"distillation": conversation} if row.formats != conversation else {},
        blocks=("image",) if reads_images else (),
        stricter=stricter,
        media=image_rules if reads_images else (),
        limits=row.limits,
        other_limits={"distillation": distillation_limits} if distils else {},
        hyperparameters=hyperparameters,
        reserved=Reserved(),
        teachers=row.teachers,
        context_tokens=context_tokens,
        max_output_tokens=max_output_tokens,
        capabilities=row.capabilities,
        end_of_life=row.end_of_life,
        prices=_prices(row),
        sources=(
            *sources,
            *((plain_id_source,) if row.called_by_profile else ()),
            *((_bedrock.distillation_source,) if distils else ()),
            *row.sources,
        ),
    )


LLAMA: Mapping[str, BaseModelEntry] = {
    "llama-3-1-405b": BaseModelEntry(
        name="llama-3-1-405b",
        title="Meta Llama 3.1 405B Instruct",
        platforms={
            "bedrock": Offering(
                training_api="bedrock",
                training_id=None,
                inference_id="meta.llama3-1-405b-instruct-v1:0",
                profile_id="us.meta.llama3-1-405b-instruct-v1:0",
                regions=regions,
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
        context_tokens=context_tokens,
        max_output_tokens=max_output_tokens,
        capabilities=text_only,
        end_of_life="2026-07-07",
        prices=Prices(input_usd_per_1k_tokens=0.0024, output_usd_per_1k_tokens=0.0024),
        sources=(
            FactSource(
                _bedrock.teacher_table,
                _bedrock.read,
                ("inference_id", "regions", "training_api", "teacher_invocation"),
            ),
            FactSource(_bedrock.converse_features, _bedrock.read, ("capabilities",)),
            FactSource(
                _bedrock.litellm,
                _bedrock.read,
                ("profile_id", "context_tokens", "max_output_tokens", "prices", "end_of_life"),
            ),
            lifecycle_source,
        ),
    ),
    **{name: _trainable(name, row) for name, row in rows.items()},
}
