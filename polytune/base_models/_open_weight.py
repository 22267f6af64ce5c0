"""What AWS states once for the models trained through its OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Mapping

from polytune.base_models import _bedrock
from polytune.base_models.interface import Customization, Hyperparameter, Limits, Source

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


def reinforcement() -> dict[str, Hyperparameter]:
    """What the endpoint's `method.reinforcement.hyperparameters` may hold; no ranges are published."""
    return {
        "epochs": Hyperparameter(api_name="n_epochs", minimum=1),
        "batch_size": Hyperparameter(api_name="batch_size", minimum=1),
        "learning_rate_multiplier": Hyperparameter(
            api_name="learning_rate_multiplier", minimum=0, whole=False
        ),
    }


def sources() -> tuple[Source, ...]:
    """Where the facts shared by these models were read."""
    return (
        Source(
            f"{_bedrock.guide}/reinforcement-fine-tuning.html",
            _bedrock.read,
            ("training_id", "regions", "customizations", "refused"),
        ),
        Source(
            f"{_bedrock.guide}/fine-tuning-openai-apis.html",
            _bedrock.read,
            ("training_api", "untrained_because", "refused"),
        ),
        Source(f"{_bedrock.guide}/fine-tuning-openai-job-create.html", _bedrock.read, ("reinforcement",)),
        Source(
            f"{_bedrock.guide}/rft-prepare-data-open-weight.html",
            _bedrock.read,
            ("other_formats", "other_limits", "blocks"),
        ),
        Source("4 characters per token: assumed, not a tokenizer", _bedrock.read, ("other_limits",)),
        Source(
            _bedrock.litellm,
            _bedrock.read,
            ("inference_id", "context_tokens", "max_output_tokens", "capabilities", "prices"),
        ),
        _bedrock.refusal_source,
        _bedrock.file_names_source,
    )
