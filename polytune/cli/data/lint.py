"""`polytune data lint FILE`: finds rows that are valid and still teach the wrong thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import options
from polytune.cli._table import table
from polytune.cli.data import _options as words
from polytune.data.lint.lint import Lint
from polytune.data.lint.lint import as_json as finding_fields
from polytune.data.lint.rules.interface import RULES, LintOptions
from polytune.data.validate.report import FindingGroup, Tally
from polytune.errors import ExitCode, UsageError

shown_examples = 2


@click.command("lint")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@words.base_model
@click.option("--rule", "rules", multiple=True, metavar="NAME", help="Only this rule. Repeatable.")
@click.option(
    "--allow", multiple=True, metavar="RULE=ID", help="Let a row pass: its id, or as shown. Repeatable."
)
@click.option(
    "--allow-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="YAML with ids of rows by rule: `secret: [row-1, row-2]`.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning"]),
    default="error",
    show_default=True,
    help="Exit with 1 from this severity on.",
)
@click.option("--rules", "listed", is_flag=True, help="List the rules, with an example and a fix each.")
@options.as_json
@click.pass_context
def command(
    ctx: click.Context, /, file: Path | None, listed: bool, fail_on: str, as_json: bool, **asked: Any
) -> None:
    """Find rows of FILE that are valid and still wrong: the answer is not what the prompt asks for.

    Without a base model, length limits are not checked, and the reserved strings of all models are warnings.
    Exits with 1 when there are errors.
    """
    if listed:
        _list_rules(as_json=as_json)
        return
    # FILE is optional for click only because --rules needs none.
    if file is None:
        raise UsageError("data lint: name a FILE, or say --rules")
    allow = _allowed(asked["allow"], asked["allow_file"])
    chosen = LintOptions(words.entry_of(asked["base_model"]), allow)
    lint = Lint(words.file_argument(file), chosen, asked["rules"])
    if as_json:
        _print_json(lint)
    else:
        _print_text(lint, file)
    failed = lint.errors or (fail_on == "warning" and lint.warnings)
    ctx.exit(ExitCode.FAILED if failed else ExitCode.DONE)


def _allowed(pairs: Sequence[str], file: Path | None) -> dict[str, frozenset[str]]:
    rows: dict[str, set[str]] = {}
    for pair in pairs:
        rule, equals, row = pair.partition("=")
        if not (rule and equals and row):
            raise UsageError(f"--allow {pair}: write RULE=ID, such as secret=row-1")
        rows.setdefault(rule, set()).add(row)
    for rule, ids in _read(file).items() if file else ():
        rows.setdefault(rule, set()).update(ids)
    return {rule: frozenset(ids) for rule, ids in rows.items()}


def _read(file: Path) -> dict[str, list[str]]:
    """The row ids by rule in a YAML file. Raises UsageError for any other content."""
    try:
        found = msgspec.yaml.decode(words.file_argument(file).read_bytes())
        stated = found.get("allow", found) if isinstance(found, dict) else found
        return msgspec.convert(stated, dict[str, list[str]], strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: not lists of row ids by rule: {error}") from error


def _list_rules(*, as_json: bool) -> None:
    family = RULES
    rules = [family.load(name) for name in family.names()]
    if as_json:
        keys = ("name", "severity", "example", "fix")
        click.echo(msgspec.json.encode([{key: getattr(rule, key) for key in keys} for rule in rules]))
        return
    for rule in rules:
        click.echo(f"{rule.severity:<8} {rule.name}\n         {rule.example}\n         {rule.fix}")


def _print_json(lint: Lint) -> None:
    """Print one JSON object; findings are printed as they are found, so memory use does not grow."""
    click.echo('{"findings":[', nl=False)
    for number, found in enumerate(lint):
        click.echo(("," if number else "") + msgspec.json.encode(finding_fields(found)).decode(), nl=False)
    # The counts come last, because they are known only after the last finding.
    unchecked = msgspec.json.encode(lint.unchecked).decode()
    click.echo(f'],"rows":{lint.rows},"not_checked":{unchecked}}}')


def _print_text(lint: Lint, file: Path) -> None:
    tally = Tally()
    ids: dict[tuple[str, int], str] = {}
    for found in lint:
        finding = found.finding
        tally.add(finding, file=file.name)
        # Only a few examples are shown; the bound keeps memory small for files with millions of findings.
        if found.row and len(ids) < 10_000:
            ids.setdefault((finding.rule, finding.line), found.row)
    for group in tally.groups():
        click.echo("\n".join(_group(group, ids)))
    for rule, what in lint.unchecked.items():
        click.echo(f"not checked: {rule}: {what}")
    click.echo(_verdict(lint))


def _group(group: FindingGroup, ids: dict[tuple[str, int], str]) -> Iterator[str]:
    times = f" ({group.count:,} times)" if group.count > 1 else ""
    yield f"{group.severity}: {group.rule}{times}"
    examples = group.examples[:shown_examples]
    rows = [(str(each), ids.get((group.rule, each.line), "")) for each in examples]
    yield from (f"    {line}" for line in table([[text, row] for text, row in rows]))
    yield f"    fix: {group.fix}"


def _verdict(lint: Lint) -> str:
    allowed = f"; {lint.allowed:,} allowed" if lint.allowed else ""
    found = f"{words.plural(lint.errors, 'error')}, {words.plural(lint.warnings, 'warning')}"
    return f"{words.plural(lint.rows, 'row')}: {found}{allowed}"
