"""What the steps `format` and `validate` refuse before anything runs."""

from __future__ import annotations

import pytest

from polytune.base_models.interface import Customization
from polytune.steps.format import FormatSpec
from polytune.steps.validate import ValidateSpec
from tests.messages import message


@pytest.mark.parametrize("layout", ["anthropic-messages", "bedrock-rft", "openai-chat", "prompt-completion"])
def test_samples_become_rows_of_any_layout_of_text(layout: str) -> None:
    """Each layout with a place for a question and its answer can be asked for."""
    assert FormatSpec(layout=layout).problems() == []


def test_samples_do_not_become_captions() -> None:
    """A layout of images is refused with those that fit."""
    (problem,) = FormatSpec(layout="image-caption").problems()

    assert problem.field == "layout"
    assert problem.what.startswith(message("spec/image-caption-has-no-place"))


@pytest.mark.parametrize(
    ("base_model", "customization", "what"),
    [
        ("nova-lite", None, ""),
        ("nova-lite", "distillation", ""),
        ("us.amazon.nova-2-lite-v1:0", "reinforcement_fine_tuning", ""),
        ("./mine", "distillation", ""),
        ("nova-2-lite", "distillation", message("spec/nova-lite-has-none")),
        ("nova-lite", "reinforcement_fine_tuning", "it offers fine_tuning and distillation"),
        ("nova-lite", "continued_pre_training", "Titan Text Express and Lite only"),
    ],
)
def test_a_dataset_is_checked_for_a_job_that_there_is(
    base_model: str, customization: Customization | None, what: str
) -> None:
    """A sort of job that the base model does not offer is refused, with the reason."""
    problems = ValidateSpec(base_model=base_model, customization=customization).problems()

    assert bool(problems) == bool(what)
    assert all(what in problem.what and problem.field == "customization" for problem in problems)
