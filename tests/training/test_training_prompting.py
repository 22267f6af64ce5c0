"""Conversations as tokens, through real tokenizers."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from polytune.errors import DataError
from polytune.training.prompting import closing_tokens, encode_prompt, encode_row
from polytune.training.rows import TrainingPrompt, TrainingRow, TrainingTurn, asking
from polytune.training.tiny_llama import fitted_tokenizer
from tests.messages import matching

ROW = TrainingRow(asked=asking("Play at 120 bpm.", "Be brief."), answer='s("bd*4")')


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with a chat template, fitted to one row."""
    return fitted_tokenizer([ROW])


def test_follows_the_chat_template(tokenizer: PreTrainedTokenizerFast) -> None:
    """The prompt is the template's text up to where the assistant begins."""
    tokens = encode_prompt(tokenizer, ROW.asked)

    assert tokenizer.decode(tokens) == (
        "<|system|>Be brief.<|end|><|user|>Play at 120 bpm.<|end|><|assistant|>"
    )


def test_a_row_is_its_prompt_its_answer_and_the_end(tokenizer: PreTrainedTokenizerFast) -> None:
    """A row starts with exactly the tokens an answering model sees; the rest is the answer and its end."""
    row = encode_row(tokenizer, ROW, closing_tokens(tokenizer))

    assert row.tokens[: row.asked] == encode_prompt(tokenizer, ROW.asked)
    assert tokenizer.decode(row.tokens[row.asked :]) == 's("bd*4")<|end|>'


def test_without_a_template_the_layout_is_plain(tokenizer: PreTrainedTokenizerFast) -> None:
    """A tokenizer without a template gets system prompt, named turns and the assistant's cue."""
    tokenizer.chat_template = None
    turns = (
        TrainingTurn(role="user", text="a"),
        TrainingTurn(role="assistant", text="b"),
        TrainingTurn(role="user", text="c"),
    )

    tokens = encode_prompt(tokenizer, TrainingPrompt(system="Be brief.", turns=turns))

    assert tokenizer.decode(tokens) == "Be brief.\n\nUser: a\n\nAssistant: b\n\nUser: c\n\nAssistant: "
    assert closing_tokens(tokenizer) == [tokenizer.eos_token_id]


def test_a_plain_prompt_starts_with_the_beginning_token(tokenizer: PreTrainedTokenizerFast) -> None:
    """Without a template, a tokenizer's own beginning-of-sequence token comes first."""
    tokenizer.chat_template = None
    tokenizer.bos_token = "<|user|>"

    assert encode_prompt(tokenizer, ROW.asked)[0] == tokenizer.bos_token_id


def test_a_template_that_refuses_a_system_prompt(tokenizer: PreTrainedTokenizerFast) -> None:
    """Where the template knows no system role, its text opens the first question."""
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    tokenizer.chat_template = refusing + str(tokenizer.chat_template)

    tokens = encode_prompt(tokenizer, ROW.asked)

    assert tokenizer.decode(tokens) == "<|user|>Be brief.\n\nPlay at 120 bpm.<|end|><|assistant|>"


def test_the_end_stops_at_the_end_token(tokenizer: PreTrainedTokenizerFast) -> None:
    """What a template writes after the end-of-sequence token is not learnt."""
    tokenizer.chat_template = str(tokenizer.chat_template).replace("<|end|>", "<|end|>\n<|system|>")

    assert closing_tokens(tokenizer) == [tokenizer.eos_token_id]


def test_a_template_with_its_own_end_of_turn(tokenizer: PreTrainedTokenizerFast) -> None:
    """A turn ended by another token is learnt with it, and then with the end of the sequence."""
    tokenizer.chat_template = str(tokenizer.chat_template).replace("<|end|>", "<|system|>\n")

    system = tokenizer.convert_tokens_to_ids("<|system|>")
    assert closing_tokens(tokenizer) == [system, tokenizer.eos_token_id]


def test_needs_an_end_token(tokenizer: PreTrainedTokenizerFast) -> None:
    """A tokenizer that cannot end an answer is refused with the remedy."""
    tokenizer.eos_token = None

    with pytest.raises(DataError, match=matching("training/no-eos-token")):
        closing_tokens(tokenizer)


def test_the_same_rows_fit_the_same_tokenizer() -> None:
    """Fitting is repeatable, digits stay single, and the vocabulary is bounded."""
    first, second = fitted_tokenizer([ROW] * 40), fitted_tokenizer([ROW] * 40)

    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()
    assert [first.decode([token]) for token in first.encode("120")] == ["1", "2", "0"]
    assert len(first) <= 512
