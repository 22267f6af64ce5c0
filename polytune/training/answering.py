"""Answers questions with a loaded model, a batch at a time. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import GenerationConfig, set_seed

from polytune.errors import DataError
from polytune.training.models import chosen_device, computing_dtype, load, make_deterministic
from polytune.training.prompting import encode_prompt
from polytune.training.protocol import Device, ModelAnswer, ModelQuestion, Sampling
from polytune.training.rows import asking


class Answerer:
    """A model that answers batches of questions. The same batch always gets the same answers."""

    def __init__(self, folder: Path, device: Device, threads: int, sampling: Sampling) -> None:
        make_deterministic(threads)
        self.device = chosen_device(device)
        loaded = load(folder)
        self._tokenizer = loaded.tokenizer
        dtype = computing_dtype(loaded.model.dtype, self.device)
        self._model = loaded.model.to(self.device, dtype).eval()
        self._sampling = sampling
        self._stops = _stop_tokens(loaded.model.generation_config, loaded.tokenizer.eos_token_id)
        self._padding = loaded.tokenizer.pad_token_id or 0
        # A model that does not state its context length is taken to have no limit (1 Mi tokens).
        self._room = int(getattr(loaded.model.config, "max_position_embeddings", 0) or 1 << 20)
        self.parameters = int(loaded.model.num_parameters())

    def answers(self, questions: Sequence[ModelQuestion]) -> list[ModelAnswer]:
        """One answer per question, in order.

        Raises DataError if the longest prompt and the longest allowed answer exceed the model's context.
        """
        if not questions:
            return []
        prompts = [encode_prompt(self._tokenizer, asking(q.prompt, q.system)) for q in questions]
        longest = max(map(len, prompts))
        if longest + self._sampling.max_tokens > self._room:
            raise DataError(
                f"a prompt of {longest} tokens and an answer of {self._sampling.max_tokens} exceed the "
                f"model's {self._room} positions; shorten the prompt or lower max_tokens"
            )
        generated = self._generated(prompts, longest)
        return [self._answer(p, new) for p, new in zip(prompts, generated, strict=True)]

    def _generated(self, prompts: list[list[int]], longest: int) -> list[list[int]]:
        # Left padding, so that every prompt ends where generation starts.
        padded = [[self._padding] * (longest - len(p)) + p for p in prompts]
        mask = [[0] * (longest - len(p)) + [1] * len(p) for p in prompts]
        # Seed before every batch: its answers must not depend on the batches before it.
        set_seed(self._sampling.seed)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=torch.tensor(padded, device=self.device),
                attention_mask=torch.tensor(mask, device=self.device),
                generation_config=self._generation(),
            )
        rows: list[list[int]] = output[:, longest:].tolist()
        return rows

    def _generation(self) -> GenerationConfig:
        # Built from scratch: a model's own generation_config may set top-p, top-k or penalties, which would
        # make models hard to compare.
        drawn = self._sampling.temperature > 0
        how = {"temperature": self._sampling.temperature, "top_p": 1.0, "top_k": 0} if drawn else {}
        return GenerationConfig(
            max_new_tokens=self._sampling.max_tokens,
            do_sample=drawn,
            eos_token_id=self._stops,
            pad_token_id=self._padding,
            **how,
        )

    def _answer(self, prompt: list[int], new: list[int]) -> ModelAnswer:
        end = next((i for i, token in enumerate(new) if token in self._stops), None)
        said = new if end is None else new[:end]
        return ModelAnswer(
            text=self._tokenizer.decode(said, skip_special_tokens=True),
            input_tokens=len(prompt),
            output_tokens=len(new) if end is None else end + 1,
            finish="length" if end is None else "stop",
        )


def _stop_tokens(generation: GenerationConfig | None, end: int | None) -> list[int]:
    # Chat models often end an answer with another token than the tokenizer's eos: stop at any of them.
    stated = None if generation is None else generation.eos_token_id
    several = stated if isinstance(stated, list) else [stated]
    return sorted({token for token in [*several, end] if token is not None})
