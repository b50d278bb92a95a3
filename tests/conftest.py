"""What many tests need: the data folder, and a tokenizer that is built here and not downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from raystilts.tasks import registry

# No deadline: how fast an example runs says more about the machine than about the code.
settings.register_profile("raystilts", deadline=None)
settings.load_profile("raystilts")

#: The machine's data folder; out of the environment, so that only tests that ask for `data_dir` depend on it. The
#: processes of pytest-xdist, which start afterwards, have it by another name.
DATA_DIR = os.environ.pop("RAYSTILTS_DATA_DIR", None) or os.environ.get("RAYSTILTS_TESTS_DATA_DIR")
if DATA_DIR:
    os.environ["RAYSTILTS_TESTS_DATA_DIR"] = DATA_DIR

#: Characters that the tiny tokenizer knows one by one, in nine scripts, and a few whole words.
LETTERS = (
    "".join(chr(c) for c in range(33, 127))
    + "äöüßéèñçøåœ€“”’–…"
    + "αβγδεζηθικλμνξοπρσςτυφχψω"
    + "абвгдежзийклмнопрстуфхцчшщъыьэюя"
    + "".join(chr(c) for c in range(0x0621, 0x0653))
    + "".join(chr(c) for c in range(0x0900, 0x0970))
    + "".join(chr(c) for c in [*range(0x0E01, 0x0E3B), *range(0x0E40, 0x0E4F)])
    + "的一是不了人我在有他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可"
    + "。，、！？《》（）"
)
WORDS = ("▁the", "▁a", "▁of", "▁in", "▁is", "▁and", "ing", "ed", "er", "tion", "▁token")
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


#: What all tests that start Ray are, where processes share tests.
RAY = "ray"
#: Folders whose slow tests start Ray, and modules of other folders.
WITH_RAY = ("cluster", "importing", "results", "scheduling", "tracking", "test_hub_start.py", "test_tutorial.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where pytest-xdist shares tests among processes: modules that start Ray all in one, others where there is room.

    Its `--dist loadgroup` would say the same, but version 3.8 forgets the groups with pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class RayFirst(LoadScopeScheduling):  # type: ignore[misc]
        """What takes longest begins first, in the first process, of which `.ci/run` knows the settings."""

        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid.partition("::")[0])

        def _assign_work_unit(self, node: Any) -> None:
            first = min(self.nodes, key=lambda one: int(one.gateway.id.removeprefix("gw")))
            if RAY in self.workqueue:
                self.workqueue.move_to_end(RAY, last=node is not first)
            super()._assign_work_unit(node)

    return RayFirst(config, log)


@cache
def scope_of(module: str) -> str:
    """What runs in one process: a module, or all that start Ray."""
    path = Path(__file__).parents[1] / module
    named = path.parent.name in WITH_RAY or path.name in WITH_RAY
    return RAY if named and "mark.slow" in path.read_text(encoding="utf-8") else module


@pytest.fixture(scope="module", autouse=True)
def _registry_as_it_was() -> Iterator[None]:
    """Tasks that a module's tests register are gone after it."""
    registry.all_tasks()
    before = dict(registry._TASKS)
    yield
    registry._TASKS.clear()
    registry._TASKS.update(before)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with evaluation data, laid out <dataset>/<language>/<split>.parquet; skips without one."""
    folder = Path(DATA_DIR) if DATA_DIR else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no data: set RAYSTILTS_DATA_DIR to a folder laid out <dataset>/<language>/<split>.parquet")
    return folder


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """See `make_tokenizer`."""
    return make_tokenizer()


def make_tokenizer() -> Any:
    """A fast tokenizer with XLM-R's special tokens: a Unigram of single characters and a few words.

    Specials have ids 0 to 4 in XLM-R's order (start, padding, end, unknown), then the mask.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = [(token, 0.0) for token in (*SPECIALS, "▁")]
    pieces += [(token, -2.0) for token in WORDS]
    pieces += [(letter, -5.0) for letter in dict.fromkeys(LETTERS)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_input_names=["input_ids", "attention_mask"],
    )


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Any) -> Path:
    """A BERT of two layers of 32 units with random weights, as a checkpoint folder."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tiny_tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=128, pad_token_id=1,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder
