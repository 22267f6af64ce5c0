"""Low-rank adapters: put on a model, saved, and merged into its weights; needs torch and peft."""

from __future__ import annotations

import json
from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, set_seed

from polytune.files import write_whole
from polytune.training.protocol import TrainRequest


def with_adapters(model: PreTrainedModel, request: TrainRequest) -> PeftModel:
    """The model with fresh adapters on every linear layer; only these are trained."""
    set_seed(request.seed)
    size = request.lora
    config = LoraConfig(
        r=size.rank, lora_alpha=size.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


def save_adapters(model: PeftModel, folder: Path, base_name: str) -> None:
    """The folder holds the adapters, and nothing in it depends on this machine."""
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    # peft writes the base's absolute path, and its module names in the order of a set.
    config["base_model_name_or_path"] = base_name
    config["target_modules"] = sorted(config["target_modules"])
    write_whole(path, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())


def merged(model: PeftModel) -> PreTrainedModel:
    """The plain model with the adapters' changes in its weights."""
    return model.merge_and_unload()
