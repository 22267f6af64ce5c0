"""`polytune model`: the catalogue against the region, models asked, compared, exported and deleted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from polytune.base_models.interface import BASE_MODELS
from polytune.exporters.interface import EXPORTERS
from tests.cloud_commands.cloud_program import Space, clean_environment, invoked
from tests.messages import message

prompt = "Status line for customers: Billing answers slowly."


def deployed(space: Space, name: str, model: str) -> str:
    """A deployment answers; its ARN."""
    arn: str = space.account.bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=model)[
        "customModelDeploymentArn"
    ]
    space.account.advance(3600)
    return arn


def test_the_list_is_live_where_there_are_credentials(space: Space) -> None:
    """Every entry of the catalogue with what the region has of it; the output says where that is from."""
    listed, found = space.run("model", "list"), space.run("model", "list", "--json").json

    by_name = {model["name"]: model for model in found["models"]}
    assert (found["source"], found["region"], listed.code) == ("live", "us-east-1", 0)
    assert set(by_name) == set(BASE_MODELS.names())
    assert by_name["nova-lite"]["live"] == "customized here"
    assert by_name["llama-3-3-70b"]["live"] == message("cloud_commands/only-invoked-here")
    assert by_name["tiny-llama"]["live"] == ""
    assert message("cloud_commands/models-that-has-now", name="us-east-1") in listed.err


def test_without_credentials_the_catalogue_is_shown_and_says_so(tmp_path: Path) -> None:
    """No credentials are no error; the reason stands on standard error."""
    (tmp_path / "runs").mkdir()
    (tmp_path / ".env").write_text("AWS_EC2_METADATA_DISABLED=true\nAWS_CONFIG_FILE=/nowhere\n")
    environment = clean_environment() | {"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-m", "polytune", "model", "list"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0
    assert "nova-lite" in done.stdout
    assert message("cloud_commands/from-catalogue-only") in done.stderr
    assert "Set AWS_ACCESS_KEY_ID" in done.stderr


def test_distillation_lists_exactly_the_catalogue_s_pairs(space: Space) -> None:
    """Each student with each of its teachers, and nothing else."""
    found = space.run("model", "list", "--distillation", "--json").json

    entries = [BASE_MODELS.get(name) for name in BASE_MODELS.names()]
    pairs = {(teacher, entry.name) for entry in entries for teacher in entry.teachers}
    assert {(pair["teacher"], pair["student"]) for pair in found["pairs"]} == pairs
    assert "nova-premier teaches" in space.run("model", "list", "--distillation").out


@pytest.mark.parametrize(
    ("option", "kind"), [("--reinforcement", "reinforcement_fine_tuning"), ("--fine-tuning", "fine_tuning")]
)
def test_the_list_can_be_narrowed_to_a_customization(space: Space, option: str, kind: str) -> None:
    """Only models that take it."""
    found = space.run("model", "list", option, "--json").json["models"]

    known = {n for n in BASE_MODELS.names() if kind in BASE_MODELS.get(n).customizations}
    assert {model["name"] for model in found} == known != set()


def test_own_models_are_listed_apart(space: Space) -> None:
    """`--custom` shows what the account made, and goes with no other choice."""
    arn = space.model("songs")

    found = space.run("model", "list", "--custom", "--json").json
    wrong = space.run("model", "list", "--custom", "--distillation")

    assert [(model["arn"], model["base"]) for model in found] == [(arn, "nova-lite")]
    assert arn in space.run("model", "list", "--custom").out
    assert (wrong.code, message("cloud_commands/custom-lists-your-own-models") in wrong.err) == (2, True)


def test_info_shows_facts_with_their_sources(space: Space) -> None:
    """Ids, ranges, prices and routes; unknown prices say so; JSON has every source."""
    shown = space.run("model", "info", "amazon.nova-lite-v1:0:300k")
    found = space.run("model", "info", "nova-lite", "--json").json

    assert "epochs" in shown.out
    assert "1 to 5, default 2   sent as epochCount" in shown.out
    assert "docs.aws.amazon.com" in shown.out
    assert "unknown" in shown.out
    assert found["platforms"]["bedrock"]["training_id"] == "amazon.nova-lite-v1:0:300k"
    assert len(found["sources"]) == len(BASE_MODELS.get("nova-lite").sources)
    assert "continued pre training" in shown.out


def test_info_of_an_unknown_model_names_the_nearest(space: Space) -> None:
    """One line, exit code 2."""
    done = space.run("model", "info", "nova-light")

    assert (done.code, message("general/did-you-mean", suggestion="nova-lite") in done.err) == (2, True)


def test_every_catalogue_entry_can_be_shown(space: Space) -> None:
    """`model info` has words for each of them."""
    for name in BASE_MODELS.names():
        assert space.run("model", "info", name).out.startswith(f"{name}   ")


def test_a_base_model_is_asked_and_its_answer_streams(space: Space) -> None:
    """The streamed text is the whole answer; figures stand on standard error, the price with them."""
    done = space.run("model", "test", "nova-lite", "--prompt", "hello")
    whole = space.run("model", "test", "nova-lite", "--prompt", "hello", "--json").json

    assert done.code == 0
    assert done.out == f"{whole['text']}\n"
    assert f"{whole['input_tokens']} tokens in, {whole['output_tokens']} out" in done.err
    assert "first after" in done.err
    assert whole["usd"] > 0
    assert space.account.calls("ConverseStream") == 1


def test_standard_input_can_be_the_prompt(space: Space) -> None:
    """`--prompt -` reads it."""
    typed = space.run("model", "test", "nova-lite", "--prompt", "-", typed="hello")

    assert typed.out == space.run("model", "test", "nova-lite", "--prompt", "hello").out


def test_a_custom_model_is_asked_by_any_of_its_names(space: Space) -> None:
    """The deployment's ARN and name, the model's ARN and name: all reach the same deployment."""
    model = space.model("songs")
    arn = deployed(space, "live", model)

    answers = {
        space.run("model", "test", name, "--prompt", "hello", "--json").json["text"]
        for name in (arn, "live", model, "songs-model")
    }

    assert len(answers) == 1


def test_a_model_without_a_deployment_says_how_to_get_one(space: Space) -> None:
    """Not deployed, still being deployed, unknown: each has its own words."""
    model = space.model("songs")

    bare = space.run("model", "test", model, "--prompt", "hello")
    space.account.bedrock.create_custom_model_deployment(modelDeploymentName="live", modelArn=model)
    early = space.run("model", "test", model, "--prompt", "hello")
    unknown = space.run("model", "test", "nosuch", "--prompt", "hello")

    assert (bare.code, f"polytune deploy {model}" in bare.err) == (2, True)
    assert (early.code, "live is Creating" in early.err) == (2, True)
    assert (
        unknown.code,
        message("cloud_commands/no-custom-or-imported-model", model="nosuch") in unknown.err,
    ) == (2, True)


def test_a_run_s_model_is_asked_as_it_was_trained(made: Space) -> None:
    """An experiment's name is enough; the run's system prompt goes along unless another one is given."""
    run_id = made.run("ls", "--json").json[0]["run_id"]

    by_name = made.run("model", "test", "lines", "--prompt", prompt, "--json").json
    by_run = made.run("model", "test", run_id, "--prompt", prompt, "--json").json
    other = made.run("model", "test", "lines", "--prompt", prompt, "--system", "", "--json").json

    assert by_name["text"] == by_run["text"] != ""
    assert other["input_tokens"] < by_name["input_tokens"]


def test_two_models_are_compared_side_by_side(made: Space, tmp_path: Path) -> None:
    """Lines of text and of JSON; both answers, times and tokens of each; the sums below."""
    lines = [prompt, json.dumps({"prompt": "hello", "system": "Be brief."}), '"a string"', ""]
    lines += [json.dumps({"messages": [{"role": "user", "content": "chat"}]})]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    words = ("model", "compare", "nova-lite", "lines", "--prompts", str(tmp_path / "p.jsonl"))

    shown, rows = made.run(*words), made.run(*words, "--json").json["rows"]

    assert shown.code == 0
    assert [row["prompt"] for row in rows] == [prompt, "hello", "a string", "chat"]
    assert [row["line"] for row in rows] == [1, 2, 3, 5]
    assert [row["system"] for row in rows][:2] == ["You write status lines.", "Be brief."]
    assert rows[0]["base"]["answer"]["text"] != rows[0]["custom"]["answer"]["text"]
    assert "  |  lines" in shown.out
    assert "4/4" in shown.out


def test_an_answer_that_is_missing_does_not_lose_the_others(space: Space, tmp_path: Path) -> None:
    """The failure stands in its place, and the exit code is 1."""
    (tmp_path / "p.txt").write_text("one\ntwo\n")
    space.account.fault("error", "Converse", code="ValidationException", status=400, times=1)

    done = space.run("model", "compare", "nova-lite", "nova-pro", "--prompts", str(tmp_path / "p.txt"))

    assert (done.code, "1/2" in done.out, "2/2" in done.out) == (1, True, True)
    assert "no answer: " in done.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", message("cloud_commands/holds-no-prompts")),
        (b'{"a": 1}', ":1: " + message("cloud_commands/the-line")),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_a_wrong_file_of_prompts_is_one_clear_error(
    space: Space, tmp_path: Path, content: bytes, said: str
) -> None:
    """Empty, not prompts, not text."""
    (tmp_path / "p").write_bytes(content)

    done = space.run("model", "compare", "nova-lite", "nova-pro", "--prompts", str(tmp_path / "p"))

    assert (done.code, said in done.err, len(done.err.splitlines())) == (1, True, 1)


@pytest.mark.parametrize("exporter", EXPORTERS.names())
def test_a_run_s_model_is_exported_to_every_kind(made: Space, exporter: str) -> None:
    """The file names the deployment of the run."""
    done = made.run("model", "export", "lines", "--to", exporter)

    assert done.code == 0
    assert ":custom-model-deployment/" in done.out


def test_a_model_of_the_account_is_exported_without_any_run(space: Space, tmp_path: Path) -> None:
    """Its base model's facts are there; name, system prompt and shape are chosen; the file is written."""
    arn = deployed(space, "live", space.model("songs"))
    target = tmp_path / "out" / "songs.ts"
    words = ("--name", "strudel", "--system", "Sing.", "--option", "shape=model_definition")

    done = space.run("model", "export", arn, "--to", "polychat_ts", "-o", str(target), *words)

    text = target.read_text()
    assert (done.code, done.out) == (0, "")
    assert "strudelModel: ModelDefinition" in text
    assert arn in text
    assert "300000" in text
    assert 'strudelSystemPrompt: string = "Sing."' in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("lines", "--to", "polychat"),
            message("cloud_commands/unknown-exporter", name="polychat", suggestion="polychat_ts"),
        ),
        (("lines", "--to", "json", "--option", "shape"), "--option shape: write NAME=VALUE"),
        (("lines", "--to", "json", "--option", "shape=x"), message("general/json-takes-no-options")),
        (("lines", "--to", "polychat_ts", "--option", "shape=x"), "'x' is no shape"),
        (("nova-lite", "--to", "json"), message("cloud_commands/there-is-nothing-of-yours")),
    ],
)
def test_a_wrong_export_is_one_clear_error(made: Space, words: tuple[str, ...], said: str) -> None:
    """Unknown kinds and options, and models that are not one's own."""
    done = made.run("model", "export", *words)

    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_model_in_use_is_not_deleted(space: Space) -> None:
    """The deployment is named; without it the model goes after a yes."""
    model = space.model("songs")
    arn = deployed(space, "live", model)

    used = space.run("model", "delete", "songs-model", "--yes")
    space.account.bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=arn)
    silent = space.run("model", "delete", "songs-model")
    gone = space.run("model", "delete", "songs-model", "--json", typed="y\n")

    assert (used.code, message("cloud_commands/in-use-by-live", arn=arn) in used.err) == (2, True)
    assert (silent.code, message("cloud_commands/nothing-was-done") in silent.err) == (2, True)
    assert gone.json == {"deleted": model}
    assert space.run("model", "delete", model, "--yes").code == 2


def test_a_model_of_this_machine_is_asked_and_exported_by_its_run(tmp_path: Path) -> None:
    """A local run needs no account; its base model alone cannot be asked."""
    folder = tmp_path / "local"
    assert invoked("init", str(folder)).code == 0
    words = ("--until", "train", "--set", "steps.train.epochs=1", "--workspace", str(folder))
    assert invoked("run", str(folder / "experiments/local.yaml"), *words).code == 0
    asked = ("--prompt", prompt, "--max-tokens", "5", "--workspace", str(folder))

    answer = invoked("model", "test", "local", "--json", *asked).json
    exported = invoked("model", "export", "local", "--to", "json", "--workspace", str(folder))
    base = invoked("model", "test", "tiny-llama", *asked)

    assert 0 < answer["output_tokens"] <= 5
    assert '"platform": "local"' in exported.out
    assert (base.code, message("cloud_commands/name-run-that-trained") in base.err) == (2, True)


def test_groups_help_without_asking_anything() -> None:
    """Each group's help lists its commands; each command has help of its own."""
    for group, names in {
        "job": ("list", "status", "watch", "stop"),
        "model": ("list", "info", "test", "compare", "export", "delete"),
        "dataset": ("import", "validate", "upload"),
    }.items():
        assert all(f"  {name} " in invoked(group, "--help").out for name in names)
        for name in names:
            assert "--json" in invoked(group, name, "--help").out
