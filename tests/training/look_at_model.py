"""Prints what the installed transformers makes of a model folder, as JSON; run in a process of its own."""

from __future__ import annotations

import json
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def looked_at(folder: str) -> dict[str, object]:
    """The facts that another version of transformers may get wrong, and what the model then says."""
    new = int(transformers.__version__.split(".")[0]) >= 5
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, **{"dtype" if new else "torch_dtype": "auto"})
    config, stored = model.config, model.dtype
    theta = config.rope_parameters["rope_theta"] if new else config.rope_theta
    chat = [{"role": "system", "content": "Brief."}, {"role": "user", "content": "A jazz pattern at 90 bpm."}]
    prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    tokens = tokenizer.encode(prompt, add_special_tokens=False)
    ids = torch.tensor([tokens])
    said = model.float().generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=40, eos_token_id=None
    )
    return {
        "version": transformers.__version__,
        "rope_theta": theta,
        "dtype": str(stored),
        "prompt": prompt,
        "prompt_tokens": tokens,
        "end": tokenizer.eos_token,
        "padding": tokenizer.pad_token,
        "answer_tokens": said[0, len(tokens) :].tolist(),
        "answer": tokenizer.decode(said[0], skip_special_tokens=True),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(looked_at(sys.argv[1])))
