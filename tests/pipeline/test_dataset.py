"""dataset, run as a user runs it: files in a training layout are checked, stored and trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.messages import message
from tests.pipeline.program import Program, Said
from tests.sources.pictures import draw, png

file = "experiments/shapes.yaml"
start = "name: shapes\nplatform: {kind: %s}\nbudget: {usd: 10}\nsteps:\n  dataset: "


@pytest.fixture
def polytune(tmp_path: Path) -> Program:
    """A workspace without an experiment."""
    for name in ("experiments", "runs"):
        (tmp_path / name).mkdir()
    return Program(tmp_path)


def write(polytune: Program, dataset: str, rest: str, platform: str = "bedrock") -> None:
    """The experiment, with steps after the dataset."""
    steps = "".join(f"\n  {each}" for each in rest.split("; "))
    (polytune.root / file).write_text(start % platform + dataset + steps + "\n")


def rehearsed(polytune: Program) -> Said:
    """What a rehearsal said."""
    return polytune("run", "--rehearse", file, "--json")


def asks(question: str, answer: str, uri: str = "", format: str = "png") -> dict[str, Any]:
    """A conversation, with a picture if one is named."""
    content: list[dict[str, Any]] = [{"text": question}]
    if uri:
        content.append({"image": {"format": format, "source": {"s3Location": {"uri": uri}}}})
    return {
        "schemaVersion": "bedrock-conversation-2024",
        "system": [{"text": "You name shapes."}],
        "messages": [
            {"role": "user", "content": content},
            {"role": "assistant", "content": [{"text": answer}]},
        ],
    }


def rows(polytune: Program, name: str, *rows: object) -> Path:
    """A file beside the experiment."""
    path = polytune.root / "experiments" / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pictures(polytune: Program, side: int = 32) -> list[tuple[str, str, str]]:
    """Twelve pictures beside the experiment, and a conversation on each."""
    drawn = draw(polytune.root / "experiments/shapes", side)
    named = [asks(f"Picture {name}: which shape?", shape, f"file:{name}") for name, shape, _ in drawn]
    rows(polytune, "shapes.jsonl", *named)
    return drawn


def lines(polytune: Program, pattern: str) -> list[dict[str, Any]]:
    """The JSON lines of the only file that fits."""
    (path,) = polytune.root.glob(pattern)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_files_pass_as_they_are(polytune: Program) -> None:
    """Every split keeps its bytes, provenance leads to the old place, and the run goes on to a model."""
    written = {
        name: rows(polytune, f"{name}.jsonl", *(asks(f"{name} {n}?", f"{n}") for n in range(8)))
        for name in ("train", "validation", "test")
    }
    stated = "{train: train.jsonl, validation: validation.jsonl, test: test.jsonl}"
    write(polytune, stated, "validate: {}; upload: {}; train: {base_model: nova-lite}")

    said = rehearsed(polytune)

    assert said.code == 0, said.err
    manifest = said.json()
    (folder,) = polytune.root.glob("runs/.rehearsal/shapes/*/dataset")
    for name, path in written.items():
        assert (folder / f"{name}.jsonl").read_bytes() == path.read_bytes()
    provenance = lines(polytune, "runs/.rehearsal/shapes/*/dataset/provenance.jsonl")
    assert [each["template"] for each in provenance][7:9] == [
        "train:8",
        "validation:1",
    ]
    facts = manifest["steps"]["train"]["output"]["facts"]
    assert (facts["system"], facts["layout"]) == ("You name shapes.", "bedrock-conversation-2024")
    assert manifest["steps"]["dataset"]["metrics"] == {"rows": {"train": 8, "validation": 8, "test": 8}}


def test_one_file_is_divided(polytune: Program) -> None:
    """Every row goes to one side, all rows of a prompt to the same, and growth moves none."""
    asked = [asks(f"Question {n % 40}?", f"{n}") for n in range(60)]
    rows(polytune, "all.jsonl", *asked)
    stated = "{train: all.jsonl, split: {train: 0.7, validation: 0.2, test: 0.1}}"
    write(polytune, stated, "validate: {base_model: tiny-llama}", "local")
    before = polytune.run(file)
    rows(polytune, "all.jsonl", *asked, *(asks(f"New {n}?", "x") for n in range(10)))

    after = polytune.run(file)

    assert before["steps"]["validate"]["metrics"]["errors"] == 0
    counts = before["steps"]["dataset"]["metrics"]["rows"]
    assert sum(counts.values()) == 60
    assert sum(after["steps"]["dataset"]["metrics"]["rows"].values()) == 70
    sides = []
    for run in (before, after):
        folder = f"runs/shapes/{run['run_id']}/dataset"
        origins = lines(polytune, f"{folder}/provenance.jsonl")
        sides.append({each["sample"]: each["split"] for each in origins})
        prompts = [
            {each["messages"][0]["content"][0]["text"] for each in lines(polytune, f"{folder}/{split}.jsonl")}
            for split in ("train", "validation", "test")
        ]
        assert sum(map(len, prompts)) == len(set().union(*prompts))
    assert sides[0].items() <= sides[1].items()


def test_pictures_of_this_machine_are_trained_on(polytune: Program) -> None:
    """Rows that name local files are checked, the files stored with them, and a model is trained."""
    pictures(polytune)
    stated = "{train: shapes.jsonl, media: shapes, split: {train: 0.75, validation: 0.25, test: 0}}"
    write(polytune, stated, "validate: {}; upload: {}; train: {base_model: nova-lite}")

    said = rehearsed(polytune)

    assert said.code == 0, said.err
    steps = said.json()["steps"]
    assert {each["status"] for each in steps.values()} == {"done"}
    assert steps["dataset"]["metrics"]["media_files"] == 12
    assert steps["upload"]["metrics"]["media_files"] == 12
    held = [name for name in steps["validate"]["output"]["files"] if name.startswith("media/sha256-")]
    assert len(held) == 12
    kept = list(polytune.root.glob("runs/.rehearsal/shapes/*/upload/*"))
    assert [path.name for path in kept] == ["remote.json"]


def test_captions_for_canvas(polytune: Program) -> None:
    """Images with captions train the image model."""
    drawn = draw(polytune.root / "experiments/shapes", 512)
    captions = (
        {"image-ref": name, "caption": f"A {colour} {shape} on white"} for name, shape, colour in drawn
    )
    rows(polytune, "captions.jsonl", *captions)
    write(
        polytune,
        "{layout: image-caption, train: captions.jsonl, media: shapes}",
        "validate: {}; upload: {}; train: {base_model: nova-canvas}",
    )

    said = rehearsed(polytune)

    assert said.code == 0, said.err
    assert said.json()["steps"]["upload"]["metrics"]["media_files"] == 12


def test_another_picture_makes_the_step_stale(polytune: Program) -> None:
    """A changed file is noticed; the same files are a hit."""
    pictures(polytune)
    stated = "{train: shapes.jsonl, media: shapes}"
    write(polytune, stated, "validate: {base_model: nova-lite}")
    first = polytune.run(file)
    unchanged = polytune("plan", file)
    (polytune.root / "experiments/shapes/red-disc.png").write_bytes(png("disc", "blue", 48))

    planned, second = polytune("plan", file), polytune.run(file)

    assert unchanged.code == 0
    assert message("pipeline/shapes-changed") in planned.out
    digests = [run["steps"]["dataset"]["output_digest"] for run in (first, second)]
    assert digests[0] != digests[1]


def test_a_picture_that_is_not_there(polytune: Program) -> None:
    """The row, its field and the folder are named; a path out of the folder is not followed."""
    pictures(polytune)
    path = polytune.root / "experiments/shapes.jsonl"
    whole = path.read_text()
    stated = "{train: shapes.jsonl, media: shapes}"
    write(polytune, stated, "validate: {base_model: nova-lite}")

    told = []
    for wrong in ("file:no.png", "file:../shapes.yaml", "/etc/hostname"):
        path.write_text(whole.replace("file:green-square.png", wrong))
        told.append(polytune("run", file).err)

    for wrong, said in zip(("file:no.png", "file:../shapes.yaml", "/etc/hostname"), told, strict=True):
        place = "experiments/shapes.jsonl:2: messages[0].content[1].image.source.s3Location.uri"
        assert f"{place}: no file '{wrong}' in shapes/" in said


def test_pictures_are_looked_at_before_anything_trains(polytune: Program) -> None:
    """Another format than stated, too few pixels, no picture at all: one error, and no job."""
    drawn = pictures(polytune)
    folder = polytune.root / "experiments/shapes"
    for (name, _, _), content in zip(
        drawn, (b"\xff\xd8\xff\xe0" + bytes(64), png("disc", "red", 24), b"<html>", b""), strict=False
    ):
        (folder / name).write_bytes(content)
    stated = "{train: shapes.jsonl, media: shapes}"
    write(polytune, stated, "validate: {}; upload: {}; train: {base_model: nova-lite}")

    said = rehearsed(polytune)

    assert said.code == 1
    assert message("pipeline/media-files-cannot-be-trained-on", files=12, unusable=4) in said.err
    place = "messages[0].content[1].image.source.s3Location.uri"
    for number, what in enumerate(
        ("is jpeg, and the row says png", "24 x 24 pixels", "is no image", "is empty"), 1
    ):
        assert f"train.jsonl:{number}: {place}: s3://polytune-media/" in said.err
        assert what in said.err
    assert json.loads(said.out)["steps"]["train"]["status"] == "skipped"


def test_addresses_in_s3_are_looked_up(polytune: Program) -> None:
    """Another bucket, an object that is not there: told with row and field before a job is submitted."""
    wrong = ["s3://elsewhere/a.png", "s3://polytune-rehearsal/no.png"]
    named = (asks(f"Picture {n}?", "x", wrong[n % 2]) for n in range(8))
    rows(polytune, "shapes.jsonl", *named)
    write(polytune, "{train: shapes.jsonl}", "validate: {}; upload: {}; train: {base_model: nova-lite}")

    said = rehearsed(polytune)

    assert said.code == 1
    assert message("pipeline/media-files-cannot-be-trained-on", files=2, unusable=2) in said.err
    assert message("pipeline/lies-in-another-bucket-than-rows", wrong=wrong[0]) in said.err
    assert message("pipeline/does-not-exist", wrong=wrong[1]) in said.err


def test_the_local_platform_trains_on_text(polytune: Program) -> None:
    """A dataset with pictures is refused there, with the reason."""
    pictures(polytune)
    write(
        polytune,
        "{train: shapes.jsonl, media: shapes}",
        "validate: {base_model: nova-lite}; upload: {}",
        "local",
    )

    said = polytune("run", file)

    assert said.code == 1
    assert message("pipeline/media-files-cannot-be-trained-on", files=12, unusable=12) in said.err
    assert message("pipeline/platform-local-trains-on-text-only") in said.err


@pytest.mark.parametrize(
    ("stated", "what"),
    [
        ("{train: no.jsonl}", message("general/no-such-file", file="no.jsonl")),
        (
            "{train: a.jsonl, test: a.jsonl, split: {train: 1, validation: 0, test: 0}}",
            "steps.dataset.split: " + message("pipeline/divides-one-file"),
        ),
        ("{train: a.jsonl, split: {train: 0.5}}", message("pipeline/shares-must-add-up", number="0.7")),
        (
            "{train: a.jsonl, layout: prompt-completion, media: x}",
            "steps.dataset.media: " + message("pipeline/rows-of-prompt-completion-name"),
        ),
        ("{train: a.jsonl, layout: chat}", "unknown format 'chat'"),
    ],
)
def test_wrong_datasets(polytune: Program, stated: str, what: str) -> None:
    """Each mistake in the file is told at its place, before anything runs."""
    rows(polytune, "a.jsonl", asks("Q", "A"))
    write(polytune, stated, "validate: {base_model: nova-lite}")

    said = polytune("plan", file)

    assert said.code == 2
    assert what in said.err


def test_a_media_folder_that_is_not_there_blocks(polytune: Program) -> None:
    """Said before a run."""
    rows(polytune, "a.jsonl", asks("Q", "A"))
    write(polytune, "{train: a.jsonl, media: nowhere}", "validate: {base_model: nova-lite}")

    assert message("general/no-such-named-folder", folder="nowhere") in polytune("plan", file).err


def test_bad_rows_are_validates_to_judge(polytune: Program) -> None:
    """Broken lines reach `validate`, which names them by their line."""
    path = rows(polytune, "a.jsonl", *(asks(f"Q{n}", "A") for n in range(8)))
    path.write_text("{broken\n" + path.read_text() + "\n")
    write(polytune, "{train: a.jsonl, media: .}", "validate: {base_model: nova-lite}")

    said = polytune("run", file)

    assert said.code == 1
    assert "not-json: train.jsonl:1: not JSON" in said.err
    assert "blank-line: train.jsonl:10" in said.err
