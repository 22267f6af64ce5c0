"""Where emulator, botocore's model and recorded answers disagree; docs/emulator.md has the same table."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Difference(NamedTuple):
    """One known disagreement."""

    operation: str
    member: str
    """Its path, as the shape walker writes it."""
    between: Literal["emulator and model", "emulator and recording", "recording and model"]
    why: str


DIFFERENCES = (
    Difference(
        "GetModelCustomizationJob",
        ".validationDataConfig",
        "emulator and model",
        "required by the model, absent from real answers of jobs without validation data",
    ),
    Difference(
        "GetModelCustomizationJob",
        ".validationDataConfig",
        "recording and model",
        "required by the model, absent from real answers of jobs without validation data",
    ),
    Difference(
        "ListFoundationModels",
        ".modelSummaries[].inputModalities[]",
        "emulator and model",
        "real answers say VIDEO, which the model's enum lacks",
    ),
    Difference(
        "ListFoundationModels",
        ".modelSummaries[].inputModalities[]",
        "recording and model",
        "real answers say VIDEO, which the model's enum lacks",
    ),
    Difference(
        "ListFoundationModels",
        ".modelSummaries[].modelName",
        "emulator and model",
        "the catalogue's names, such as Titan Multimodal Embeddings G1, exceed the model's 20 characters",
    ),
    Difference(
        "GetFoundationModel",
        ".modelDetails.inputModalities[]",
        "emulator and model",
        "as ListFoundationModels",
    ),
    Difference(
        "ListCustomModels",
        ".modelSummaries[].baseModelName",
        "recording and model",
        "recorded empty in 2023; the emulator sends the base model's name in the model's form",
    ),
    Difference(
        "GetModelCustomizationJob",
        ".statusDetails",
        "emulator and recording",
        "the recordings are of 2024, before sub-stages were told",
    ),
    Difference(
        "ListModelCustomizationJobs",
        ".modelCustomizationJobSummaries[].statusDetails",
        "emulator and recording",
        "the recordings are of 2024, before sub-stages were told",
    ),
    Difference(
        "GetCustomModel",
        ".jobName",
        "emulator and recording",
        "the recording is of 2023 and lacks members that were added since",
    ),
    Difference(
        "GetCustomModel",
        ".customizationType",
        "emulator and recording",
        "the recording is of 2023 and lacks members that were added since",
    ),
    Difference(
        "GetCustomModel",
        ".modelStatus",
        "emulator and recording",
        "the recording is of 2023 and lacks members that were added since",
    ),
    Difference(
        "ListCustomModels",
        ".modelSummaries[].customizationType",
        "emulator and recording",
        "the recording is of 2023 and lacks members that were added since",
    ),
    Difference(
        "ListCustomModels",
        ".modelSummaries[].ownerAccountId",
        "emulator and recording",
        "the recording is of 2023 and lacks members that were added since",
    ),
    Difference(
        "ListCustomModels",
        ".modelSummaries[].modelStatus",
        "emulator and recording",
        "the recording is of 2023 and lacks members that were added since",
    ),
    Difference(
        "GetCustomModel",
        ".validationDataConfig",
        "emulator and recording",
        "the recorded model was trained with validation data, which its answer does not tell",
    ),
)


def known(between: str) -> set[tuple[str, str]]:
    """Operation and member of the known disagreements of one kind."""
    return {(each.operation, each.member) for each in DIFFERENCES if each.between == between}
