"""Tokens: exact where a tokenizer is at hand, estimated with a stated error where none is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from polytune.base_models.interface import BASE_MODELS, for_directory
from polytune.data.dedupe.embeddings import Embedder, SentenceEmbedder, alike
from polytune.data.tokens import CalibratedTokens, EstimatedTokens, TokenCounter, counter_for, tokenizer_at
from polytune.errors import DataError, Unavailable
from tests.messages import matching, message

PROSE = "The bass rolls under the pads and leaves room for the kick. "


class Thrice(TokenCounter):
    """Counts three tokens for each word."""

    exact = True
    error = ""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Words times three."""
        return [3 * len(text.split()) for text in texts]


@given(st.text(max_size=200))
def test_estimates_are_never_negative_and_grow(text: str) -> None:
    """An empty text has no tokens, another at least one, and a longer one no fewer."""
    counter = EstimatedTokens()

    alone, doubled = counter.count([text, f"{text} {text}"])

    assert counter.count([""]) == [0]
    assert (alone >= 1) == bool(text)
    assert doubled >= alone


def test_estimates_are_near_known_counts() -> None:
    """Within a fifth of what cl100k_base counts for English, Strudel, Python and German."""
    known = {
        PROSE * 5: 66,
        's("bd*4, ~ hh:1").gain(0.82), note("c e g a").s("sawtooth").lpf(800)': 36,
        'def add(a, b):\n    """The sum."""\n    return a + b\n': 17,
        "Die Katze sitzt auf der Matte und sieht aus dem Fenster.": 15,
    }

    counts = EstimatedTokens().count(list(known))

    assert max(abs(count / exact - 1) for count, exact in zip(counts, known.values(), strict=True)) <= 0.21


def test_a_few_exact_counts_calibrate_the_estimate() -> None:
    """After calibration totals are the counter's own, and the stated error is what was measured."""
    texts = [PROSE * (1 + number % 7) for number in range(40)]

    calibrated = CalibratedTokens(Thrice(), texts)

    assert sum(calibrated.count(texts)) == pytest.approx(sum(Thrice().count(texts)), rel=0.02)
    assert calibrated.relative_error < 0.02
    assert calibrated.error == message("data/calibrated-on-texts-that-were-counted", texts=40, number=1)
    assert not calibrated.exact


def test_calibration_states_a_large_error_where_it_is_large() -> None:
    """Texts that the estimate gets wrong in different ways leave an error that is said."""
    texts = [PROSE * 3 if number % 4 < 2 else "~ * - / " * 20 for number in range(40)]

    calibrated = CalibratedTokens(Thrice(), texts)

    assert calibrated.relative_error > 0.05
    assert f"within {-(-100 * calibrated.relative_error // 1):.0f} %" in calibrated.error


def test_too_few_texts_calibrate_nothing() -> None:
    """Empty ones do not count."""
    with pytest.raises(DataError, match=matching("data/texts-are-too-few-to-calibrate")):
        CalibratedTokens(Thrice(), [PROSE] * 7 + [" "] * 5)


def local_model(folder: Path) -> Path:
    """A model folder whose tokenizer knows words apart."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "the": 1, "beat": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(2)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 64}))
    return folder


def test_a_local_model_counts_exactly(tmp_path: Path) -> None:
    """The tokenizer of the folder counts, without truncating."""
    counter = counter_for(for_directory(local_model(tmp_path)))

    assert counter.exact
    assert counter.error == ""
    assert counter.count(["the beat the beat", "", "x, y"]) == [4, 0, 3]


def test_without_a_tokenizer_counts_are_estimates(tmp_path: Path) -> None:
    """For no model, a remote one, and a folder without a tokenizer."""
    (tmp_path / "config.json").write_text("{}")

    for entry in (None, BASE_MODELS.get("nova-lite"), for_directory(tmp_path)):
        counter = counter_for(entry)
        assert isinstance(counter, EstimatedTokens)
        assert "21 %" in counter.error


def test_a_broken_tokenizer_is_an_error(tmp_path: Path) -> None:
    """Not an estimate in silence."""
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")

    with pytest.raises(DataError, match=r"tokenizer\.json: " + matching("data/not-tokenizer")):
        tokenizer_at(broken)


class Letters(Embedder):
    """Places a text by how often it uses a, b and c."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Three numbers for each text, scaled to length 1."""
        counts = [[text.count(letter) + 0.001 for letter in "abc"] for text in texts]
        return [[n / sum(m * m for m in found) ** 0.5 for n in found] for found in counts]


def test_meanings_are_compared_with_all_before() -> None:
    """Each row with the nearest earlier one that is near enough; empty rows with none."""
    texts = ["aaa", "bbb", "", "aaab", "ccc", "bbbbbb", "aaa", "abc"]

    found = [(each.line, each.of_line) for each in alike(texts, Letters(), 0.9)]

    assert found == [(4, 1), (6, 2), (7, 1)]
    assert msgspec.structs.asdict(alike(texts, Letters(), 0.9)[1])["likeness"] == 1.0


def test_meanings_over_many_blocks() -> None:
    """A row is compared with rows of blocks long before."""
    texts = ["ab" * (number % 2) + "c" * (number + 1) for number in range(1200)] + ["aaaa"] * 2

    assert [(each.line, each.of_line) for each in alike(texts, Letters(), 1.1)] == []
    assert (1202, 1201) in [(each.line, each.of_line) for each in alike(texts, Letters(), 0.9999)]


def test_without_the_package_meanings_are_unavailable() -> None:
    """The message names the package and what to do instead."""
    with pytest.raises(
        Unavailable, match=matching("data/which-is-not-installed", name="sentence_transformers")
    ):
        SentenceEmbedder("folder")
