"""The open-weight models that Bedrock trains by reinforcement, through its OpenAI-compatible endpoint.

Holds the facts that they share, and an entry for each model.
"""

from __future__ import annotations

from collections.abc import Mapping

from polytune.base_models import _bedrock
from polytune.base_models.interface import (
    BaseModelEntry,
    Customization,
    FactSource,
    Hyperparameter,
    Limits,
    Offering,
    Prices,
    Reserved,
)

limits: Mapping[Customization, Limits] = {
    "reinforcement_fine_tuning": Limits(
        min_train_rows=100,
        advised_train_rows=100,
        max_rows=20_000,
        max_tokens_per_row=None,
        chars_per_token=4.0,
    )
}
formats: Mapping[Customization, tuple[str, ...]] = {"reinforcement_fine_tuning": ("bedrock-rft",)}
refused: Mapping[Customization, str] = {
    **_bedrock.no_continued_pre_training,
    "fine_tuning": "AWS documents reinforcement fine-tuning only for it; that its endpoint takes supervised "
    "jobs too stands in a notebook's comment alone",
    "distillation": "AWS lists no teacher for it",
}
untrained_because = (
    "is fine-tuned through Bedrock's OpenAI-compatible endpoint, which polytune does not call yet"
)
reinforcement = {
    "epochs": Hyperparameter(api_name="n_epochs", minimum=1),
    "batch_size": Hyperparameter(api_name="batch_size", minimum=1),
    "learning_rate_multiplier": Hyperparameter(api_name="learning_rate_multiplier", minimum=0, whole=False),
}
"""The fields of the endpoint's `method.reinforcement.hyperparameters`; AWS publishes no ranges."""
sources = (
    FactSource(
        f"{_bedrock.guide}/reinforcement-fine-tuning.html",
        _bedrock.read,
        ("training_id", "regions", "customizations", "refused"),
    ),
    FactSource(
        f"{_bedrock.guide}/fine-tuning-openai-apis.html",
        _bedrock.read,
        ("training_api", "untrained_because", "refused"),
    ),
    FactSource(f"{_bedrock.guide}/fine-tuning-openai-job-create.html", _bedrock.read, ("reinforcement",)),
    FactSource(
        f"{_bedrock.guide}/rft-prepare-data-open-weight.html",
        _bedrock.read,
        ("other_formats", "other_limits", "blocks"),
    ),
    FactSource("4 characters per token: assumed, not a tokenizer", _bedrock.read, ("other_limits",)),
    FactSource(
        _bedrock.litellm,
        _bedrock.read,
        ("inference_id", "context_tokens", "max_output_tokens", "capabilities", "prices"),
    ),
    _bedrock.refusal_source,
    _bedrock.file_names_source,
)
"""The sources of the facts that these models share."""


def _entry(
    name: str, title: str, ids: tuple[str, str], tokens: tuple[int, int], prices: Prices
) -> BaseModelEntry:
    """`ids` are the training id and the inference id; `tokens` are the context and the longest answer."""
    return BaseModelEntry(
        name=name,
        title=title,
        platforms={
            "bedrock": Offering(
                training_api="openai_compatible",
                untrained_because=untrained_because,
                training_id=ids[0],
                inference_id=ids[1],
                regions=("us-west-2",),
                file_names=_bedrock.file_names,
            ),
        },
        customizations=("reinforcement_fine_tuning",),
        refused=refused,
        formats=(),
        other_formats=formats,
        blocks=("tools",),
        limits=None,
        other_limits=limits,
        hyperparameters=None,
        reinforcement=reinforcement,
        reserved=Reserved(),
        teachers=(),
        context_tokens=tokens[0],
        max_output_tokens=tokens[1],
        capabilities=("tools", "reasoning"),
        prices=prices,
        sources=sources,
    )


OPEN_WEIGHT: Mapping[str, BaseModelEntry] = {
    entry.name: entry
    for entry in (
        _entry(
            "gpt-oss-20b",
            "OpenAI gpt-oss-20b",
            ids=("openai.gpt-oss-20b", "openai.gpt-oss-20b-1:0"),
            tokens=(128_000, 16_384),
            prices=Prices(input_usd_per_1k_tokens=0.00007, output_usd_per_1k_tokens=0.0003),
        ),
        _entry(
            "qwen3-32b",
            "Qwen3 32B",
            ids=("qwen.qwen3-32b", "qwen.qwen3-32b-v1:0"),
            tokens=(32_768, 8192),
            prices=Prices(input_usd_per_1k_tokens=0.00015, output_usd_per_1k_tokens=0.0006),
        ),
    )
}
