"""Facts that AWS states once for all models that Bedrock customizes: sources and retired job types."""

from __future__ import annotations

from collections.abc import Mapping

from polytune.base_models.interface import Customization, FactSource, Limits

read = "2026-11-21"
guide = "docs.aws.amazon.com/bedrock/latest/userguide"
supported_models = f"{guide}/custom-model-fine-tuning.html"
data_rules = f"{guide}/model-customization-prepare.html"
hyperparameter_ranges = f"{guide}/custom-models-hp.html"
teacher_table = f"{guide}/prequisites-model-distillation.html"
on_demand = f"{guide}/deploy-custom-model-on-demand.html"
provisioned = f"{guide}/prov-thru-supported.html"
lifecycle = f"{guide}/model-lifecycle-legacy.html, as repeated in the review of awslabs/startups pull 304"
nova_lifecycle_source = FactSource(
    "api-evangelist/amazon-nova, lifecycle/amazon-nova-lifecycle.yml (repeats the lifecycle page)",
    "2026-09-01",
    ("end_of_life",),
)
converse_features = f"{guide}/conversation-inference-supported-models-features.html"
litellm = "litellm 1.109.1 (PyPI), model_prices_and_context_window_backup.json"
model_shapes = "botocore 1.43.11, service model bedrock 2023-04-20"

storage_usd_per_month = 1.95
storage_source = FactSource(
    "storage of a custom model, as billed to two projects with real jobs", "2026-08", ("prices",)
)

# Users of the earlier AWS toolkits look for this type, so a refusal with the reason beats "unknown".
no_continued_pre_training: Mapping[Customization, str] = {
    "continued_pre_training": "Bedrock continued pre-training was for Titan Text Express and Lite only, "
    "which are retired; AWS's pages on preparing data no longer mention it. Use fine_tuning"
}
refusal_source = FactSource(f"{data_rules}: continued pre-training is not mentioned", read, ("refused",))
file_names = r"[A-Za-z0-9_\-.]+\.jsonl"
file_names_source = FactSource(
    f"{guide}/fine-tuning-troubleshooting.html and {data_rules}: what a training file may be called",
    read,
    ("file_names",),
)
distillation_data = f"{guide}/distillation-prepare-datasets.html"
distillation_source = FactSource(
    f"{distillation_data}; the size of the files: aws-samples/amazon-bedrock-samples @85fba9d, "
    "model_distillation/dataset-validation",
    read,
    ("other_limits", "other_formats"),
)


def distillation_limits(max_tokens_per_row: int, chars_per_token: float) -> Limits:
    """The limits of a distillation job: at least 100 prompts, at most 1 GiB."""
    return Limits(
        min_train_rows=100,
        advised_train_rows=100,
        max_rows=None,
        max_tokens_per_row=max_tokens_per_row,
        chars_per_token=chars_per_token,
        max_train_bytes=1 << 30,
    )
