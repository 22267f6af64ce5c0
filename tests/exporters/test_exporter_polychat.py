"""What polychat_ts writes is what Polychat's repository takes, whatever the experiment is called."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from polytune.exporters.interface import EXPORTERS, ModelConfig
from tests.exporters.conftest import Compile
from tests.exporters.exporter_samples import hostile_configs, plain, unknown

pytestmark = pytest.mark.xdist_group("typescript")

polychat = """\
type Text = "id" | "name" | "family" | "description" | "avatarUrl" | "card" | "deprecationMessage"
  | "replacementModel" | "knowledgeCutoffDate" | "releaseDate" | "lastUpdated" | "apiOperation"
  | "bedrockApiOperation" | "bedrockStreamingApiOperation" | "promptTemplate";
type Count = "context_length" | "contextWindow" | "maxTokens" | "costPer1kInputTokens"
  | "costPer1kOutputTokens" | "costPer1kReasoningTokens" | "costPerRun" | "timeout";
type Flag = "openWeights" | "isBeta" | "beta" | "isFree" | "multimodal" | "isFeatured"
  | "hiddenFromDefaultList" | "deprecated" | "supportsToolCalls" | "supportsToolChoice"
  | "supportsResponseFormat" | "supportsStreaming" | "supportsDocuments" | "supportsAttachments"
  | "supportsTemperature" | "supportsTopP" | "supportsPromptCaching" | "supportsTokenCounting";
type Ranking = 1 | 2 | 3 | 4 | 5;
export type ModelModality = "text" | "image" | "audio" | "video" | "pdf" | "document" | "embedding"
  | "moderation" | "speech" | "voice-activity-detection" | "guardrails" | "reranking" | "search"
  | "creative" | "instruction" | "summarization" | "multilingual" | "general_knowledge" | "coding"
  | "reasoning" | "vision" | "chat" | "math" | "analysis" | "tool_use" | "academic" | "research"
  | "agents" | "ocr" | "transcription";
export type ModelConfigItem = { matchingModel: string; provider: string }
  & { [key in Text]?: string | undefined }
  & { [key in Count]?: number | undefined }
  & { [key in Flag]?: boolean | undefined }
  & {
    status?: "alpha" | "beta" | "deprecated" | undefined;
    capabilities?: string[] | undefined;
    pricing?: { prompt?: number | undefined; completion?: number | undefined } | undefined;
    modalities?: { input: ModelModality[]; output?: ModelModality[] | undefined } | undefined;
    strengths?: ModelModality[] | undefined;
    contextComplexity?: Ranking | undefined;
    reliability?: Ranking | undefined;
    speed?: Ranking | undefined;
  };
export type ModelConfig = Record<string, ModelConfigItem>;
export declare function mergeModelConfigs(...configs: ModelConfig[]): ModelConfig;
"""
"""The shape of `modelConfigItemSchema` in packages/schemas/src/models.ts, and what takes such maps."""

use = """\
import type {{ PolychatModel }} from "./m{n}.js";
import {{ {constant} as config }} from "./m{n}.js";
import type {{ ModelConfigItem, mergeModelConfigs }} from "./polychat.js";
type NotPolychats = Exclude<keyof PolychatModel, keyof ModelConfigItem>;
export const allKnown: [NotPolychats] extends [never] ? true : false = true;
export const take = (merge: typeof mergeModelConfigs) => merge(config);
"""
"""A file of the repository that uses an exported one."""


def rendered(config: ModelConfig, shape: str = "model_config_item") -> str:
    """The module in a shape."""
    return EXPORTERS.load("polychat_ts")({"shape": shape}).render(config)


def constant_in(text: str, ending: str) -> str:
    """The one exported constant whose name ends so."""
    (found,) = re.findall(rf"^export const (\w*{ending}):", text, re.MULTILINE)
    return str(found)


def write_with_use(folder: Path, texts: list[str]) -> list[Path]:
    """Modules `m<n>.ts`, Polychat's types, and a file for each module that hands it to Polychat."""
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "polychat.ts").write_text(polychat)
    for n, text in enumerate(texts):
        (folder / f"m{n}.ts").write_text(text, encoding="utf-8")
        (folder / f"u{n}.ts").write_text(use.format(n=n, constant=constant_in(text, "ModelConfig")))
    return sorted(folder.glob("*.ts"))


def exports_of(folder: Path, texts: list[str]) -> list[dict[str, Any]]:
    """What each compiled module exports, as node reads it."""
    reading = ";".join(f"import * as m{n} from './m{n}.js'" for n in range(len(texts)))
    values = ",".join(f"{{...m{n}}}" for n in range(len(texts)))
    (folder / "print.mjs").write_text(f"{reading};console.log(JSON.stringify([{values}]))")
    done = subprocess.run(
        ["node", "print.mjs"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_polychat_takes_every_model(strict_typescript: Compile, tmp_path: Path) -> None:
    """Whatever the model's name and facts, the module compiles against Polychat's types, field by field."""
    configs = [plain, unknown, *hostile_configs()]
    texts = [rendered(config) for config in configs]

    said = strict_typescript(write_with_use(tmp_path, texts))
    found = exports_of(tmp_path, texts)

    assert said == ""
    for config, text, each in zip(configs, texts, found, strict=True):
        (item,) = each[constant_in(text, "ModelConfig")].values()
        assert list(each[constant_in(text, "ModelConfig")]) == [config.name]
        assert (item["matchingModel"], item["provider"]) == (config.uri, config.platform)
        assert each[constant_in(text, "SystemPrompt")] == config.system


@pytest.mark.parametrize(
    ("written", "instead"),
    [("supportsToolCalls", "supportsTools"), ('"text" | "image"', '"text" | "picture"')],
)
def test_a_field_that_polychat_lacks_is_refused(
    strict_typescript: Compile, tmp_path: Path, written: str, instead: str
) -> None:
    """The types that the exports are compiled against refuse a wrong field and a wrong modality."""
    wrong = rendered(plain).replace(written, instead)

    assert "u0.ts" in strict_typescript(write_with_use(tmp_path, [wrong]))


def test_the_older_shape_compiles(strict_typescript: Compile, tmp_path: Path) -> None:
    """The toolkit's constant compiles for every name, and holds the configuration's own values."""
    configs = [plain, unknown, *hostile_configs()]
    texts = [rendered(config, "model_definition") for config in configs]
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for n, text in enumerate(texts):
        (tmp_path / f"m{n}.ts").write_text(text, encoding="utf-8")

    said = strict_typescript(sorted(tmp_path.glob("*.ts")))
    found = exports_of(tmp_path, texts)

    assert said == ""
    assert found[0]["strudel_nova_lite_v1Model"] == {
        "id": "strudel-nova-lite-v1",
        "name": "Strudel Nova Lite V1",
        "provider": "bedrock",
        "providerId": plain.uri,
        "capabilities": {"chat": True, "streaming": True, "tools": True},
        "pricing": {"input": 0.00006, "output": 0.00024},
        "context": 300_000,
        "tags": ["custom", "strudel", "nova-lite"],
    }
    for config, text, each in zip(configs, texts, found, strict=True):
        assert each[constant_in(text, "Model")]["id"] == config.name
        assert each[constant_in(text, "SystemPrompt")] == config.system


def test_an_item_holds_what_is_known() -> None:
    """Window, prices per thousand tokens, modalities and abilities are the configuration's."""
    text = rendered(plain)

    assert 'export const strudelNovaLiteV1ModelConfig: Record<string, PolychatModel> = {\n  ["strudel' in text
    for line in (
        "contextWindow: 300000,",
        "maxTokens: 5000,",
        "costPer1kInputTokens: 6e-05,",
        "costPer1kOutputTokens: 0.00024,",
        'modalities: {"input": ["text", "image"], "output": ["text"]},',
        "supportsToolCalls: true,",
        "supportsDocuments: false,",
        'bedrockApiOperation: "converse",',
    ):
        assert f"\n    {line}\n" in text


def test_an_item_leaves_out_what_is_unknown() -> None:
    """Of a base that no catalogue knows, the item says what to call and nothing else."""
    text = rendered(unknown)

    (item,) = re.findall(r"PolychatModel> = \{\n.*?\n(.*?)\n  \},\n", text, re.DOTALL)
    assert [line.split(":")[0].strip() for line in item.splitlines()] == [
        "matchingModel",
        "name",
        "provider",
        "description",
    ]


def test_a_model_that_answers_with_images_is_invoked() -> None:
    """Converse gives no images, so Polychat is told to invoke such a model."""
    text = rendered(msgspec.structs.replace(plain, outputs=("image",)))

    assert 'bedrockApiOperation: "invoke"' in text
    assert "converse" not in text.split("PolychatModel> =")[1]
