"""Near-duplicates are found, confirmed, dropped or kept on one side, and nothing else is."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytune.data.dedupe.dedupe import dedupe_file, write_kept
from polytune.data.dedupe.duplicates import Alike, clusters, kept
from polytune.data.dedupe.minhash import missed_at_threshold, shape_of
from polytune.data.dedupe.row_texts import Joined, RowTexts
from polytune.data.dedupe.shingles import likeness, window_bytes, windows
from polytune.data.format.format import FormatOptions, format_samples
from polytune.errors import UsageError
from tests.data.data_samples import prompts, sample, write
from tests.messages import matching

WORDS = [f"w{number}x{number * 7919 % 997}" for number in range(2000)]


def text(dice: random.Random, words: int = 70) -> str:
    """About 500 characters, unlike any other."""
    return " ".join(dice.choices(WORDS, k=words))


def edited(original: str, share: float, dice: random.Random) -> str:
    """The text with that share of its words replaced."""
    words = original.split(" ")
    for place in dice.sample(range(len(words)), max(1, round(share * len(words)))):
        words[place] = dice.choice(WORDS)
    return " ".join(words)


def true_likeness(one: str, other: str) -> float:
    """What a comparison of the whole texts says."""
    return likeness(set(windows(one)), set(windows(other)))


@given(st.text(max_size=60))
def test_windows_are_every_run_of_eight_bytes(content: str) -> None:
    """A text has one window for each of its places; whitespace and case are not among them."""
    safe = content.encode(errors="replace").decode()
    size = len(safe.lower().encode().translate(None, b" \t\r\n\v\f"))

    assert len(windows(safe)) == (max(1, size - window_bytes + 1) if size else 0)
    assert list(windows(f"  {safe.lower()}\n")) == list(windows(safe.lower()))


def test_likeness_is_jaccards() -> None:
    """Texts that share all, half or none of their windows."""
    assert true_likeness("Abc def ghi", "abcdefghi") == 1.0
    assert true_likeness("abcdefgh1", "abcdefgh2") == pytest.approx(1 / 3)
    assert true_likeness("abcdefgh", "ijklmnop") == 0.0
    assert true_likeness("", " ") == 1.0


@pytest.mark.parametrize("threshold", [0.5, 0.55, 0.6, 0.7, 0.75, 0.8, 0.9, 0.99, 1.0])
def test_bands_notice_a_pair_at_the_threshold(threshold: float) -> None:
    """The shape of the bands misses at most two pairs in a hundred that are just alike enough."""
    rows, bands = shape_of(threshold)

    assert (1 - threshold**rows) ** bands <= missed_at_threshold
    assert rows * bands >= 64


def test_planted_pairs_are_found_and_no_others() -> None:
    """Of 400 edited copies among 2,400 texts, 99 in 100 are dropped for a text that they are truly like."""
    dice = random.Random(5)
    originals = [text(dice) for _ in range(2000)]
    copies = [edited(originals[number], dice.uniform(0.01, 0.12), dice) for number in range(400)]
    texts = [*originals, *copies]
    planted = [n for n in range(400) if true_likeness(originals[n], copies[n]) >= 0.7]

    found = {each.number: each for each in kept(texts)}

    assert len(planted) > 300
    assert sum(2000 + n in found for n in planted) >= 0.99 * len(planted)
    for each in found.values():
        assert each.likeness == round(true_likeness(texts[each.number], texts[each.of]), 4) >= 0.7
        assert each.of not in found


def test_the_best_score_stays_then_the_first() -> None:
    """Of three alike the one with the highest score stays; without scores, and among equals, the first."""
    dice = random.Random(6)
    first = text(dice)
    texts = [first, edited(first, 0.03, dice), text(dice), edited(first, 0.03, dice), first.upper()]

    def gone(scores: list[float | None] | None) -> list[tuple[int, int]]:
        return [(each.number, each.of) for each in kept(texts, scores=scores)]

    assert gone(None) == [(1, 0), (3, 0), (4, 0)]
    assert gone([1, 2, 0, 3, 1]) == [(0, 3), (1, 3), (4, 3)]
    assert gone([2, 2, None, 2, None]) == [(1, 0), (3, 0), (4, 0)]
    assert gone([None, None, 5, None, 0.5]) == [(0, 4), (1, 4), (3, 4)]


def test_exact_ignores_case_and_whitespace_only() -> None:
    """Texts that differ in a letter stay; empty ones are like no other."""
    texts = ["A  beat", "a beat\n", "a beet", "", "", "   "]

    assert [(each.number, each.of, each.likeness) for each in kept(texts, "exact")] == [(1, 0, 1.0)]
    assert clusters(texts, "exact") == [0, 0, 1, 2, 3, 4]
    assert kept(texts[3:], "near") == []


def test_what_is_held_out_stays() -> None:
    """Texts like a held-out one go, whatever their score; held-out texts never go, even when alike."""
    dice = random.Random(7)
    secret = text(dice)
    texts = [secret, secret, edited(secret, 0.02, dice), text(dice)]

    found = kept(texts, scores=[None, None, 9, 9], held_out=2)

    assert [(each.number, each.of) for each in found] == [(2, 0)]


def test_clusters_are_chains_of_likeness() -> None:
    """A text like two that are not alike joins them; names hold texts together that say different things."""
    dice = random.Random(8)
    words = text(dice, 80).split(" ")
    chain = [" ".join(words[start : start + 60]) for start in (0, 8, 16)]
    texts = [chain[0], text(dice), chain[2], chain[1], text(dice)]

    assert true_likeness(chain[0], chain[2]) < 0.7 < true_likeness(chain[0], chain[1])
    assert clusters(texts) == [0, 1, 0, 0, 2]
    assert clusters(texts, "near", 0.7, ["", "a", "", "", "a"]) == [0, 1, 0, 0, 1]
    assert clusters(texts, "near", 0.7, ["", "a", "", "", ""], ["", "b", "", "b", ""]) == [0, 0, 0, 0, 1]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 11), max_size=30), st.integers(0, 1000))
def test_no_two_clusters_hold_texts_that_are_alike(drawn: list[int], seed: int) -> None:
    """Whatever the texts: sides by cluster have no crossing pairs, and every pair alike is in one cluster."""
    dice = random.Random(seed)
    stems = [text(dice, 30) for _ in range(4)]
    texts = [edited(stems[n % 4], 0.05 * (n // 4), dice) if n >= 4 else stems[n] for n in drawn]

    alike = Alike(texts)
    found = alike.clusters()

    assert alike.crossing(found) == 0
    for one, other in itertools.combinations(range(len(texts)), 2):
        if true_likeness(texts[one], texts[other]) >= 0.85:
            assert found[one] == found[other]


def test_crossing_pairs_are_counted() -> None:
    """Two alike on two sides are one pair; one that is nowhere is in none."""
    dice = random.Random(9)
    stem = text(dice)
    alike = Alike([stem, stem.lower(), edited(stem, 0.03, dice), text(dice)])

    assert alike.crossing([0, 0, 0, 1]) == 0
    assert alike.crossing([0, 0, 1, 1]) == 1
    assert alike.crossing([0, 1, 1, 1]) == 2
    assert alike.crossing([0, -1, -1, 1]) == 0


def test_many_equals_cost_no_more_than_few() -> None:
    """Ten thousand copies of one text, and of one that is like it, come down to one."""
    dice = random.Random(10)
    stem = text(dice)
    other = edited(stem, 0.02, dice)

    assert len(kept([stem, other] * 5000)) == 9999


def test_a_threshold_below_a_half_is_refused() -> None:
    """MinHash with 128 minima does not find such pairs."""
    with pytest.raises(UsageError, match=matching("data/near-duplicates-need-one", number="0.3")):
        kept(["a"], threshold=0.3)


def row(prompt: str, answer: str, **more: object) -> str:
    """A line of prompt and completion."""
    return json.dumps({"prompt": prompt, "completion": answer, **more})


def test_rows_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    """A file of rows is a sequence of texts, bad lines empty; several are one after the other."""
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([row("p1", "a1"), "{", row("p2", "ä2"), row("p3", "a3")]))

    texts = RowTexts(path)
    both = Joined(RowTexts(path, "prompt"), RowTexts(path, "answer"))

    assert list(texts) == [texts[n] for n in range(4)] == ["p1\na1", "", "p2\nä2", "p3\na3"]
    assert texts[1:3] == ["", "p2\nä2"]
    assert list(both) == [both[n] for n in range(8)] == ["p1", "", "p2", "p3", "a1", "", "ä2", "a3"]
    assert both[3:5] == ["p3", "a1"]
    assert texts.line(1) == b"{"


def test_a_file_is_deduplicated_to_the_byte(tmp_path: Path) -> None:
    """Lines that stay are as they were, in order, bad ones included; the report names file and line."""
    dice = random.Random(11)
    stem, held = text(dice), text(dice)
    path, test, out = tmp_path / "train.jsonl", tmp_path / "test.jsonl", tmp_path / "out.jsonl"
    lines = [
        row("p", stem, score=0.2),
        "{broken",
        row("p", edited(stem, 0.03, dice), score=0.9),
        row("q", edited(held, 0.03, dice)),
        row("r", "short"),
    ]
    path.write_text("".join(f"{line}\n" for line in lines))
    test.write_text(row("q", held) + "\n")

    report = dedupe_file(path, "near", 0.7, held_out=[test])
    write_kept(report, out)

    assert [(each.line, each.of_file, each.of_line) for each in report.dropped] == [
        (1, str(path), 3),
        (4, str(test), 1),
    ]
    assert (report.rows, report.kept, report.held_out) == (5, 3, 1)
    assert out.read_text().splitlines() == [lines[1], lines[2], lines[4]]
    assert dedupe_file(out, "near", 0.7, held_out=[test]).dropped == ()


def test_only_a_part_of_the_rows_may_be_compared(tmp_path: Path) -> None:
    """Rows with one prompt and different answers repeat each other by prompt only."""
    path = tmp_path / "rows.jsonl"
    path.write_text(row("the same prompt", "one") + "\n" + row("the same prompt", "two"))

    assert [len(dedupe_file(path, "exact", 0.7, part).dropped) for part in ("row", "prompt", "answer")] == [
        0,
        1,
        0,
    ]


def paraphrased(count: int) -> list[tuple[str, str]]:
    """Prompts and answers; every third row is a paraphrase of the one two rows before."""
    dice, rows = random.Random(12), list[tuple[str, str]]()
    for number in range(count):
        if number % 3 == 2:
            prompt, answer = rows[number - 2]
            rows.append((f"{prompt} Please.", edited(answer, 0.05, dice)))
        else:
            rows.append((f"Take {number}: {text(dice, 8)}", text(dice, 50)))
    return rows


def test_clusters_stay_in_one_split(tmp_path: Path) -> None:
    """With near clusters no two samples that are alike are in different splits; without, many are."""
    samples = [sample(n, prompt=p, answer=a) for n, (p, a) in enumerate(paraphrased(300))]
    source = write(tmp_path / "samples.jsonl", samples)
    answers = {each.prompt: f"{each.prompt}\n{each.answer}" for each in samples}

    def crossing(folder: Path) -> int:
        placed = [(answers[p], n) for n, found in enumerate(prompts(folder).values()) for p in found]
        return Alike([text for text, _ in placed]).crossing([side for _, side in placed])

    plain = format_samples(source, tmp_path / "plain", FormatOptions())
    report = format_samples(source, tmp_path / "near", FormatOptions(cluster="near"))

    assert (plain.clusters, plain.crossing_pairs) == (None, None)
    assert crossing(tmp_path / "plain") > 10
    assert crossing(tmp_path / "near") == 0
    assert (report.samples, report.clusters, report.crossing_pairs) == (300, 200, 0)
    assert sum(report.rows.values()) == 300
    assert abs(report.rows["train"] - 240) < 20


def test_provenance_names_the_cluster(tmp_path: Path) -> None:
    """Rows of one cluster have one number and one split; without clustering there is no number."""
    samples = [sample(n, prompt=p, answer=a) for n, (p, a) in enumerate(paraphrased(30))]
    source = write(tmp_path / "samples.jsonl", samples)
    format_samples(source, tmp_path, FormatOptions(cluster="near"))
    origins = [json.loads(line) for line in (tmp_path / "provenance.jsonl").read_text().splitlines()]

    by_sample = {origin["sample"]: (origin["cluster"], origin["split"]) for origin in origins}

    assert len({cluster for cluster, _ in by_sample.values()}) == 20
    assert all(by_sample[f"s{n:05d}"] == by_sample[f"s{n - 2:05d}"] for n in range(2, 30, 3))


def test_children_of_one_seed_stay_in_one_split(tmp_path: Path) -> None:
    """Samples that name the same seed are one cluster, however different they are."""
    dice = random.Random(13)
    lines = []
    for number in range(60):
        made = json.loads(write(tmp_path / "one", [sample(number, answer=text(dice))]).read_text())
        lines.append(json.dumps({**made, "seed": f"seed-{number % 20}"}))
    source = tmp_path / "samples.jsonl"
    source.write_text("".join(f"{line}\n" for line in lines))

    report = format_samples(source, tmp_path, FormatOptions(cluster="exact"))
    origins = [json.loads(line) for line in (tmp_path / "provenance.jsonl").read_text().splitlines()]

    split_of = {origin["sample"]: origin["split"] for origin in origins}
    assert report.clusters == 20
    assert all(split_of[f"s{n:05d}"] == split_of[f"s{n % 20:05d}"] for n in range(60))


def test_near_duplicates_are_dropped_on_request(tmp_path: Path) -> None:
    """Paraphrases go with `dedupe: near`, the report counts them apart, and the rest is as before."""
    rows = paraphrased(90)
    source = write(
        tmp_path / "samples.jsonl", [sample(n, prompt=p, answer=a) for n, (p, a) in enumerate(rows)]
    )

    report = format_samples(source, tmp_path, FormatOptions(dedupe="near"))
    found = [prompt for each in prompts(tmp_path).values() for prompt in each]

    assert (report.duplicates, report.near_duplicates, report.clusters) == (0, 30, None)
    assert sorted(found) == sorted(prompt for prompt, _ in rows if not prompt.endswith("Please."))


def test_grouped_and_plain_agree_where_nothing_is_alike(tmp_path: Path) -> None:
    """Samples that are all different, some with the same prompt, are placed as without clustering."""
    dice = random.Random(14)
    samples = [
        sample(n, prompt=f"take {n // 2} {text(random.Random(n // 2), 9)}", answer=text(dice))
        for n in range(80)
    ]
    source = write(tmp_path / "samples.jsonl", samples)

    plain = format_samples(source, tmp_path / "plain", FormatOptions())
    grouped = format_samples(source, tmp_path / "grouped", FormatOptions(cluster="near", dedupe="near"))

    assert grouped.rows == plain.rows
    assert prompts(tmp_path / "grouped") == prompts(tmp_path / "plain")
    assert grouped.prompts == plain.prompts == grouped.clusters == 40
