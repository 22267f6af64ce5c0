"""Makes a workspace with an earlier version of polytune, for test_upgrade.py.

    git worktree add ../earlier COMMIT
    python -m tests.upgrade.make_workspace ../earlier tests/upgrade/NAME.tar.xz

Needs root, for the port of the servers: the teachers' addresses are in their answers' identities, and nothing
ever listens on port 9 of 127.0.0.1 where the workspace is opened again. What is made:

    judged     a chat teacher without a key, a `command` grader with a variable, redraws; format, validate
    keyed      the same server with a secret key
    claude     an Anthropic teacher
    polychat   a Polychat teacher
    replayed   a recording, collected records, a dataset
    trained    a small model that was trained here; its weights are left out, so they are lost
    training   a run that was killed while it trained
    failed     a run that failed, because its server answered only half of the questions
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.asking.asking_stub import Behaviour, Fault, Seen, Stub

port = 9
secrets = {"STUB_KEY": "k-1", "ANTHROPIC_API_KEY": "k-2", "POLYCHAT_API_KEY": "k-3", "LEVEL": "3"}
prompts = """\
system: You greet people.
short_system: Greet.
templates: ["Greet {{ name }} of {{ town }}."]
slots: {name: [Ada, Grace, Alan, Kurt, Emmy, Max], town: [Rome, Paris, Oslo, Bern]}
"""
judge = """\
import json, sys
for line in sys.stdin:
    case = json.loads(line)
    print(json.dumps({"id": case["id"], "passed": "not" not in case["answer"]}), flush=True)
"""
chat = "kind: openai_compatible, model: m, url: 'http://127.0.0.1:9/v1'"
data = """\
  format: {system: short, split: {train: 0.8, validation: 0.1, test: 0.1}}
  validate: {base_model: tiny-llama}
"""
generate = """\
  generate:
    prompts: prompts.yaml
    teacher: {TEACHER}
    count: 20
"""
experiments = {
    "judged": generate.replace("TEACHER", f"{chat}, seed: 3, temperature: 0.5")
    + "    graders: [{kind: command, command: [python, judge.py], environment: [LEVEL]}]\n"
    + "    on_reject: redraw\n    max_redraws: 2\n"
    + data,
    "keyed": generate.replace("TEACHER", f"{chat}, api_key: '${{secret:STUB_KEY}}'"),
    "claude": generate.replace("TEACHER", "kind: anthropic, model: c, url: 'http://127.0.0.1:9'"),
    "polychat": generate.replace("TEACHER", "kind: polychat, model: p, url: 'http://127.0.0.1:9'"),
    "replayed": """\
  collect: {sources: [{kind: csv, path: rows.csv, fields: {prompt: question, answer: reply}}]}
  dataset: {train: rows.jsonl}
""",
    "trained": generate.replace("TEACHER", "kind: composer")
    + data
    + "  upload: {}\n  train: {base_model: tiny-llama, epochs: 1, learning_rate: 3.0e-3}\n",
    "training": generate.replace("TEACHER", "kind: composer").replace("20", "21")
    + data
    + "  upload: {}\n  train: {base_model: tiny-llama, epochs: 200}\n",
    "failed": generate.replace("TEACHER", f"{chat}, max_tokens: 100"),
}
turn = '{"role": "%s", "content": [{"text": "%s"}]}'
row = '{"schemaVersion": "bedrock-conversation-2024", "messages": [%s, %s]}\n'


def main(program: Path, target: Path) -> None:
    """Run every experiment with the program in a folder, and pack what it leaves."""
    with TemporaryDirectory() as name:
        root = Path(name)
        (root / "runs").mkdir()
        files = {
            "prompts.yaml": prompts,
            "judge.py": judge,
            "rows.csv": "question,reply\n" + "".join(f"What is {n} + 1?,{n + 1}\n" for n in range(12)),
            "rows.jsonl": "".join(row % (turn % ("user", n), turn % ("assistant", n + 1)) for n in range(12)),
            ".env": "".join(f"{name}={value}\n" for name, value in secrets.items()),
        }
        for path, text in files.items():
            (root / path).write_text(text)
        for name, steps in experiments.items():
            head = f"name: {name}\nproject: upgraded\nplatform: {{kind: local}}\nsteps:\n"
            (root / f"{name}.yaml").write_text(head + steps)
        stub = Stub()
        stub.port = port
        with stub:
            for name in experiments:
                stub.behave = answering.get(name, _usual)
                _run(program, root, name, killed=name == "training")
        for weights in root.glob("runs/trained/*/train/**/*.safetensors"):
            _remove(root, weights)
        for useless in (root / "runs" / ".jobs", root / "runs" / ".locks"):
            shutil.rmtree(useless, ignore_errors=True)
        with tarfile.open(target, "w:xz") as archive:
            archive.add(root, ".", filter=_anonymous)


def _usual(seen: Seen) -> str | None:
    return "not now" if seen.number % 5 == 0 else None


def _half(seen: Seen) -> Fault | None:
    return Fault(status=400) if len(seen.prompt) % 2 else None


answering: Mapping[str, Behaviour] = {
    "failed": _half,
    "polychat": lambda seen: json.dumps({"code": f's("bd*{seen.number}")'}),
}


def _run(program: Path, root: Path, name: str, *, killed: bool) -> None:
    words = [sys.executable, "-m", "polytune", "run", f"{name}.yaml", "--yes"]
    environment = {**os.environ, "PYTHONPATH": str(program), "POLYTUNE_THREADS": "1"}
    with subprocess.Popen(words, cwd=root, env=environment) as process:
        if killed:
            while not list(root.glob("runs/.jobs/*/progress.jsonl")):
                time.sleep(0.05)
            process.kill()
            for group in root.glob("runs/.jobs/*/group"):
                if not (group.parent / "result.json").exists():
                    os.killpg(int(group.read_text()), signal.SIGKILL)


def _remove(root: Path, path: Path) -> None:
    content = path.read_bytes()
    for each in root.glob("runs/**/*"):
        if each.is_file() and each.stat().st_size == len(content) and each.read_bytes() == content:
            each.unlink()


def _anonymous(found: tarfile.TarInfo) -> tarfile.TarInfo:
    found.uid = found.gid = 0
    found.uname = found.gname = ""
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
