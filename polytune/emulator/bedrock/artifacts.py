"""What a customization job leaves in S3, in the layout of real jobs.

    <output>/.write_access_check_file.temp                          when validation starts
    <output>/model-customization-job-<id>/
        input_status/<file>/manifest.report.csv                     when the data has been accepted
        validated_data/<file>/validated_prompts.jsonl
        training_artifacts/step_wise_training_metrics.csv           when training is complete
        validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv
        SYNTHETIC.txt                                               the emulator's own: says what this is

Sources: docs.aws.amazon.com/bedrock/latest/userguide/model-customization-analyze.html and AWS's notebooks.
"""

from __future__ import annotations

from polytune.emulator.bedrock.dataset import DataFile, Dataset
from polytune.emulator.bedrock.losses import Curve, rewards, table
from polytune.emulator.bedrock.storage import JobStorage, name_of

synthetic_note = b"""These files were written by polytune's Bedrock emulator.
No model was trained. The losses are synthetic and say nothing about the data.
"""
report_header = (
    "fileName,totalProcessedRecordCount,acceptedRecordCount,partiallyAcceptedRecordCount,rejectedRecordCount"
)


def folder_of(output: str, job_id: str) -> str:
    """The URI below which everything of a job lies."""
    return f"{output.rstrip('/')}/model-customization-job-{job_id}"


def write_accepted(storage: JobStorage, folder: str, dataset: Dataset) -> None:
    """The copies of the accepted data and the reports about it are there. Raises JobRefused."""
    for file in dataset.files:
        name = name_of(file.uri.rstrip("/"))
        storage.write(f"{folder}/input_status/{name}/manifest.report.csv", _report(file, name))
        storage.write(f"{folder}/validated_data/{name}/validated_prompts.jsonl", file.content)
    storage.write(f"{folder}/SYNTHETIC.txt", synthetic_note)


def write_metrics(storage: JobStorage, folder: str, curve: Curve, *, validated: bool, rewarded: bool) -> None:
    """The curves are there. Raises JobRefused."""
    training = rewards(curve) if rewarded else table(curve.training, "training_loss")
    storage.write(f"{folder}/training_artifacts/step_wise_training_metrics.csv", training)
    if validated:
        storage.write(
            f"{folder}/validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv",
            table(curve.validation, "validation_loss"),
        )


def _report(file: DataFile, name: str) -> bytes:
    counts = f"{name},{file.rows + file.rejected},{file.rows},0,{file.rejected}"
    return f"{report_header}\n{counts}\n".encode()
