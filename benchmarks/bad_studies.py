"""Makes mistakes in study files, task files, encoder folders and storage, and looks at what `raystilts plan` says.

Right is: exit code 2, one to three lines of at most 300 characters, which name the place and what is allowed (or what
to do), within ten seconds, and nothing written to the results. Prints counts by group and the mistakes that ended
otherwise; ends with code 1 if there are any. Everything runs in this process, nothing trains.

python benchmarks/bad_studies.py [--group yaml] [--all]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import resource
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from raystilts.cli import main
from raystilts.planning.encoders import EMBEDDED
from raystilts.tasks import registry

SECONDS, LINES, CHARACTERS = 10, 3, 300
#: Bytes of memory that a plan may take before it counts as wrong.
MEMORY = 8 * 10**9
#: How a message says what is allowed, or what to do.
ALLOWED = (
    r"should|must|give|write|known: |did you mean|expected|choose|take|leave|name (one|a)|such as|fetch|twice|"
    r"the arm without|use |in quotes|save|convert|required|a file URI is|is not (a whole number|a number)|"
    r"say (what|which|on)|not allowed|too long"
)
#: A study that is right.
BASE: dict[str, Any] = {
    "name": "bad", "intermediates": ["none", "cldr_same"], "targets": ["cldr_units"], "seeds": [0],
    "storage_path": "st", "hyperparameters": {"max_steps": 4},
}  # fmt: skip
TASK = """
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

SOURCE = Source(dataset="mine", split="train")
GIVEN = dict(
    name="mine", type=SequenceClassification(text="text", labels=("no", "yes")), train=SOURCE, dev=SOURCE.other("dev"),
    test=SOURCE.other("test"), languages=("en",), dev_languages=("en",), main_score="accuracy",
    description="d", licence="l", citation="c", url="u",
)
"""


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        text: The study file.
        says: Patterns that the message must hold: the place, and what is allowed or to be done.
        files: Other files, by name: text, bytes, or None for a folder.
        file: What the command line names.
    """

    group: str
    name: str
    text: str | bytes
    says: tuple[str, ...]
    files: dict[str, str | bytes | None] = field(default_factory=dict)
    file: str = "s.yaml"
    options: tuple[str, ...] = ()


def study(**fields: Any) -> str:
    """The text of a study that is right but for these fields, which may have dots in their names."""
    data = json.loads(json.dumps(BASE))
    for name, value in fields.items():
        place, parts = data, name.split("__")
        for part in parts[:-1]:
            place = place.setdefault(part, {})
        place[parts[-1]] = value
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _yaml() -> Iterator[Mistake]:
    good = study()
    tags = {
        "binary": "!!binary aGVsbG8=", "set": "!!set {a, b}", "omap": "!!omap [a: 1]", "pairs": "!!pairs [a: 1]",
        "timestamp": "!!timestamp abc", "int": "!!int abc", "int hex": "!!int 0x10", "float": "!!float abc",
        "bool": "!!bool abc", "own": "!mine 3", "python": "!!python/object/apply:os.getcwd []", "int list": "!!int [1]",
        "merge": "!!merge x", "null": "!!value 3",
    }  # fmt: skip
    for name, value in tags.items():
        for place in ("name", "seeds", "storage_path", "data_dir"):
            text = re.sub(rf"(?ms)^{place}:.*?(?=^\w|\Z)", "", good) + f"{place}: {value}\n"
            yield Mistake("yaml", f"{name} tag in {place}", text, (r"s\.yaml, line \d+", "leave it out|is not"))
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
    )
    for place in ("seeds", "intermediates", "targets", "encoder"):
        text = re.sub(rf"(?ms)^{place}:.*?(?=^\w|\Z)", "", good)
        yield Mistake("yaml", f"aliases in {place}", f"{bomb}{text}{place}: *a8\n", ("aliases", "write them out"))
        nested = f"{text}{place}: {'[' * 5000}{']' * 5000}\n"
        yield Mistake("yaml", f"deep nesting in {place}", nested, (r"s\.yaml", "too deep"))
        yield Mistake("yaml", f"itself in {place}", f"{text}{place}: &x [*x]\n", (r"s\.yaml", "."))
    for place in ("name", "storage_path", "data_dir", "order", "selection", "keep"):
        yield Mistake("yaml", f"a long value of {place}", study(**{place: "f" * 10**6}), (place, "."))
    yield Mistake("yaml", "a long number", study(name="x").replace("- 0", "- " + "9" * 6000), (r"s\.yaml", "."))
    yield Mistake("yaml", "a long key", good + "k" * 10**5 + ": 1\n", (r"s\.yaml", "known|no such field|."))
    yield Mistake("yaml", "two documents", good + "---\na: 1\n", (r"s\.yaml, line \d+", "document"))
    yield Mistake("yaml", "a control character", good + "x: \x01\n", (r"s\.yaml", "."))
    yield Mistake("yaml", "an unknown alias", good + "data_dir: *nope\n", (r"s\.yaml, line \d+", "alias"))
    yield Mistake("yaml", "a list", "[1, 2]\n", (r"s\.yaml", "mapping"))


def _file() -> Iterator[Mistake]:
    yield Mistake("file", "no such home", "", ("~nosuchuser", "home folder"), file="~nosuchuser/s.yaml")
    yield Mistake("file", "a long name", "", ("xxx", "."), file="x" * 400)
    yield Mistake("file", "not there", "", ("nope.yaml", "no such"), file="nope.yaml")
    yield Mistake("file", "a folder", "", ("folder", "."), files={"folder": None}, file="folder")
    yield Mistake("file", "below a file", study(), (r"s\.yaml", "."), file="s.yaml/s.yaml")
    yield Mistake("file", "endless", "", ("/dev/zero", "characters"), file="/dev/zero")
    yield Mistake("file", "not UTF-8", b"\xff\xfe\x00", (r"s\.yaml", "text file"))
    yield Mistake("file", "empty", "", (r"s\.yaml", "mapping"))


def _names() -> Iterator[Mistake]:
    for name in ("x" * 300, "x" * 100, "é" * 200, "", "a b", "a/b", "..", "-a", "a\nb", "checkpoints", 3, None, True):
        yield Mistake("names", f"study {str(name)[:20]!r}", study(name=name), ("name", "."))
    for name in ("x" * 300, "", "a b", "a/b", "none", "cldr_units", 3, True):
        arms = ["none", {"tasks": ["cldr_same"], "name": name}]
        yield Mistake("names", f"arm {str(name)[:20]!r}", study(intermediates=arms), (r"intermediates\.1", "."))


def _tasks() -> Iterator[Mistake]:
    targets: list[tuple[str, Any, str]] = [
        ("no languages", {"task": "cldr_units", "languages": []}, "at least 1"),
        ("a language twice", {"task": "cldr_units", "languages": ["en", "en"]}, "twice"),
        ("no such language", {"task": "cldr_units", "languages": ["xx"]}, "known|did you mean"),
        ("a language as a boolean", {"task": "cldr_units", "languages": [True]}, "quotes"),
        ("no such metric", {"task": "cldr_units", "metric": "acuracy"}, "accuracy"),
        ("a metric of another type", {"task": "cldr_units", "metric": "exact_match"}, "accuracy"),
        ("a metric that is a number", {"task": "cldr_units", "metric": 3}, "string"),
        ("no such task", "cldr_unit", "did you mean"),
        ("plain text", "mono", "cannot|no"),
        ("a long name", "x" * 10**5, "known"),
        ("null", None, "."),
        ("a number", 3, "."),
    ]
    for name, target, allowed in targets:
        yield Mistake("tasks", f"target: {name}", study(targets=[target]), (r"targets\.0", allowed))
    align = {"tasks": ["cldr_same"], "align": {"to": "cldr_units", "loss": "coral"}}
    mlm = {"tasks": ["cldr_same"], "masked_lm": {"languages": ["de"]}}
    arms: list[tuple[str, Any, str]] = [
        ("no such task", "cldr_sme", "did you mean"),
        ("a task without training data", "cldr_match", "target"),
        ("the name of another task", {"tasks": ["cldr_same"], "name": "cldr_dates"}, "another name"),
        ("true", True, "none"),
        ("cap true", {"tasks": ["cldr_same"], "cap": True}, "number"),
        ("temperature inf", {"tasks": ["cldr_same"], "temperature": float("inf")}, "finite"),
        ("a task twice", {"tasks": ["cldr_same", "cldr_same"]}, "twice"),
        ("a language of none", "cldr_same@", "write"),
    ]
    for value in (float("inf"), float("nan"), 1e308, True, 0, -1):
        given = align | {"align": {**align["align"], "weight": value}}  # type: ignore[dict-item]
        arms.append((f"align.weight {value}", given, "finite|number|greater|less"))
    for value in (float("inf"), True, 0, 1.5):
        given = mlm | {"masked_lm": {"languages": ["de"], "probability": value}}
        arms.append((f"masked_lm.probability {value}", given, "finite|number|greater|less"))
    arms.append(("align.to unknown", align | {"align": {"to": "nope", "loss": "coral"}}, "known|did you mean"))
    arms.append(("align.loss unknown", align | {"align": {"to": "cldr_units", "loss": "corl"}}, "coral"))
    for name, arm, allowed in arms:
        yield Mistake("tasks", f"arm: {name}", study(intermediates=["none", arm]), (r"intermediates\.1", allowed))


NUMBERS: dict[str, tuple[Any, ...]] = {
    "seeds": ([True], [1.5], [-1], [2**40], [], ["a"], [float("inf")], [0, 0], True),
    "baseline_seeds": ([True], [-1], []),
    "compare_at": (True, 0, 2, float("inf"), float("nan")),
    "intermediate_fractions": ([True], [0], [2], [float("nan")], [], [0.5, 0.5]),
    "target_fractions": ([True], [0], [1.5], []),
    "time_limit_s": (True, 0, -1, float("inf")),
    "snapshot_s": (True, -1, float("nan"), float("inf")),
    "evaluation__eval_steps": (True, 0, float("inf"), float("nan"), 1e308),
    "evaluation__max_dev_samples": (True, 0, 1.5, float("inf")),
    "resources__cpus": (True, 0, float("inf"), float("nan")),
    "resources__gpus": (True, -1, float("inf")),
    "resources__gpu_memory_gb": (True, 0, float("inf")),
    "encoder__retrieval_layer": (True, 1.5, float("inf")),
    "schedule": (
        {"asha": {"reduction_factor": 1.0000001}}, {"asha": {"reduction_factor": True}},
        {"asha": {"grace_period": 1e-300}}, {"asha": {"grace_period": float("nan")}}, {"asha": {"max_t": True}},
        {"race": {"confidence": True}}, {"race": {"confidence": float("inf")}}, {"top_two": {"budget": True}},
        {"top_two": {"gpu_hours": float("inf")}}, {"halve": {"rung": True}}, {"x" * 10**5: {}}, "halv", True,
    ),
}  # fmt: skip


def _numbers() -> Iterator[Mistake]:
    for name, values in NUMBERS.items():
        for value in values:
            place = name.split("__")[0]
            yield Mistake("numbers", f"{name} {str(value)[:40]}", study(**{name: value}), (place, "."))


HYPERPARAMETERS: dict[str, tuple[Any, ...]] = {
    "learning_rate": (1e308, 0, -1, True), "head_learning_rate": (1e308, 0), "num_train_epochs": (1e308, 0),
    "warmup_steps": (1e308, -1), "weight_decay": (1e308, -1), "max_grad_norm": (1e308, -1), "adam_epsilon": (1e308, 0),
    "adam_beta1": (1, -1), "adam_beta2": (1,), "max_steps": (10**30, 1.5, True), "max_length": (7, 10**30, True),
    "per_device_train_batch_size": (0, 10**30, True), "gradient_accumulation_steps": (0, 10**30),
    "max_train_samples": (0, True), "num_train_examples": (0, True), "label_smoothing_factor": (1, -0.1, True),
    "early_stopping_patience": (0, True), "early_stopping_threshold": (-1, 1e308), "class_weight": ("balance",),
    "lr_scheduler_type": ("linar",), "lr": (1e-5,), "output_dir": ("x",), "nonsense": (1,),
}  # fmt: skip


def _hyperparameters() -> Iterator[Mistake]:
    for name, values in HYPERPARAMETERS.items():
        ends = (float("inf"), float("nan")) if not isinstance(values[0], str) else ()
        for value in (*values, *ends):
            for where in ("hyperparameters", "hyperparameters__tasks__cldr_units"):
                text = study(**{f"{where}__{name}": value})
                yield Mistake("hyperparameters", f"{where}.{name} {value}", text, (f"hyperparameters.*{name}", "."))
    for value in (3, [1], True, "", None, "nope.yaml", "~nosuch/x.yaml", "a\0b", "x" * 1000, {"a": 1}):
        text = study(hyperparameters__from=value)
        yield Mistake("hyperparameters", f"from {str(value)[:20]!r}", text, ("hyperparameters", "from", "."))
    for value in (3, [1], "a", {"cldr_units": 3}, {"cldr_units": [1]}, {"nope": {}}):
        yield Mistake(
            "hyperparameters", f"tasks {value}", study(hyperparameters__tasks=value), ("hyperparameters", ".")
        )
        text = study(hyperparameters={"from": "xlmr.yaml", "tasks": value})
        yield Mistake("hyperparameters", f"from, tasks {value}", text, ("hyperparameters", "."))
    for text in ("a: [", "[]", "encoder: 3\nstudy: s\ntasks: {}\n", "encoder: e\nstudy: s\ntasks: {a: {values: {}}}\n"):
        made = study(hyperparameters__from="t.yaml")
        says = ("hyperparameters|t.yaml", ".")
        yield Mistake("hyperparameters", f"from a file of {text[:20]!r}", made, says, files={"t.yaml": text})


def _search() -> Iterator[Mistake]:
    spaces: list[tuple[str, dict[str, Any], str]] = [
        ("a grid of 1e8", {"sampler": "grid", "space": {"max_steps": {"int": [1, 10**8]}}}, "combinations"),
        ("a grid of 1e9", {"sampler": "grid", "space": {n: {"int": [8, 1007]} for n in (
            "max_length", "max_steps", "max_train_samples")}}, "combinations"),
        ("int to 1e12", {"space": {"num_train_epochs": {"int": [1, 1e12]}}}, "less than"),
        ("num_samples 1e9", {"num_samples": 10**9, "space": {"max_steps": {"int": [1, 10]}}}, "less than"),
        ("num_samples true", {"num_samples": True, "space": {"max_steps": {"int": [1, 10]}}}, "number"),
        ("inf", {"space": {"weight_decay": {"uniform": [0, float("inf")]}}}, "finite|less"),
        ("nan", {"space": {"weight_decay": {"uniform": [0, float("nan")]}}}, "finite|number"),
        ("upside down", {"space": {"weight_decay": {"uniform": [1, 0]}}}, "upside"),
        ("from 0", {"space": {"learning_rate": {"loguniform": [0, 1]}}}, "uniform"),
        ("true", {"space": {"learning_rate": {"uniform": [True, 2]}}}, "two numbers"),
        ("no such name", {"space": {"lerning_rate": {"uniform": [1e-6, 1e-4]}}}, "did you mean"),
        ("no such range", {"space": {"learning_rate": {"unifrm": [1e-6, 1e-4]}}}, "did you mean"),
        ("no values", {"space": {"learning_rate": {"choice": []}}}, "no values"),
        ("a choice that is none", {"space": {"learning_rate": {"choice": ["a"]}}}, "number"),
        ("a choice of true", {"space": {"learning_rate": {"choice": [True]}}}, "number"),
        ("no such metric", {"metric": "acuracy", "space": {"max_steps": {"int": [1, 9]}}}, "accuracy"),
        ("budget inf", {"budget_hours": float("inf"), "space": {"max_steps": {"int": [1, 9]}}}, "finite"),
        ("a task that is none", {"tasks": {"nope": {}}, "space": {"max_steps": {"int": [1, 9]}}}, "known"),
        ("no space", {"space": {}}, "at least 1"),
        ("a list", [1], "."),  # type: ignore[list-item]
    ]  # fmt: skip
    for name, search, allowed in spaces:
        yield Mistake("search", name, study(search=search), ("search", allowed))


def _task_files() -> Iterator[Mistake]:
    bodies = {
        "raises many lines": ("raise ValueError('a\\nb\\nc\\nd\\ne')", "ValueError"),
        "raises a long line": ("raise ValueError('x' * 10**5)", "ValueError"),
        "raises nothing said": ("raise ValueError", "ValueError"),
        "exits": ("import sys; sys.exit(0)", "take that out"),
        "exits with 3": ("raise SystemExit(3)", "take that out"),
        "no Python": ("def (", "SyntaxError"),
        "imports what is not there": ("import nosuchmodule", "nosuchmodule"),
        "no task": ("x = 1", "TASK = Task"),
        "a task that is none": ("TASK = 3", "TASK = Task"),
        "a long value": ("TASK = 'x' * 10**6", "TASK = Task"),
        "recursion": ("def f(): f()\nf()", "RecursionError"),
    }
    fields = {
        "without fields": "Task()", "a space": "Task(**GIVEN | dict(name='a b'))", "html": "Task(**GIVEN | "
        "dict(name='<b>'))", "a slash": "Task(**GIVEN | dict(name='a/b'))", "no name": "Task(**GIVEN | dict(name=''))",
        "a long name": "Task(**GIVEN | dict(name='x' * 300))", "an unknown field": "Task(**GIVEN, lang='en')",
        "one label": "Task(**GIVEN | dict(type=SequenceClassification(text='text', labels=('a',))))",
        "no such score": "Task(**GIVEN | dict(main_score='acuracy'))",
        "no score": "Task(**GIVEN | dict(main_score=''))",
        "a catalogue's name": "Task(**GIVEN | dict(name='mnli'))", "none": "Task(**GIVEN | dict(name='none'))",
        "an at": "Task(**GIVEN | dict(name='a@de'))", "type 3": "Task(**GIVEN | dict(type=3))",
        "train 3": "Task(**GIVEN | dict(train=3))",
    }  # fmt: skip
    used = {
        "no languages": "Task(**GIVEN | dict(languages=()))",
        "no test": "Task(**GIVEN | dict(test=None))",
        "no training data": "Task(**GIVEN | dict(train=None))",
    }
    made = study(task_files=["mine.py"])
    for name, (body, allowed) in bodies.items():
        yield Mistake("task_files", name, made, (r"mine\.py", allowed), files={"mine.py": body})
    for name, body in fields.items():
        text = f"{TASK}TASK = {body}\n"
        yield Mistake("task_files", name, made, (r"mine\.py", "."), files={"mine.py": text})
    for name, body in used.items():
        files: dict[str, str | bytes | None] = {"mine.py": f"{TASK}TASK = {body}\n"}
        text = study(task_files=["mine.py"], targets=["mine"])
        yield Mistake("task_files", f"a target with {name}", text, (r"targets\.0", "give the task"), files=files)
    files = {"mine.py": f"{TASK}TASK = {used['no training data']}\n"}
    arm = study(task_files=["mine.py"], intermediates=["none", "mine"])
    yield Mistake(
        "task_files", "an arm without training data", arm, (r"intermediates\.1", "give the task"), files=files
    )
    for path in ("nope.py", "mine.txt", "~nosuch/mine.py", "a\0b.py", "x" * 1000 + ".py", "", ".", 3, None):
        text = study(task_files=[path])
        yield Mistake("task_files", f"{str(path)[:20]!r}", text, (r"task.file", "."), files={"mine.txt": ""})


def _encoder() -> Iterator[Mistake]:
    mini = EMBEDDED["raystilts-mini"]
    good = {path.name: path.read_bytes() for path in mini.iterdir() if path.is_file()}
    config = json.loads(good["config.json"])
    configs: dict[str, Any] = {
        "a list": [], "a number": 3, "no JSON": "{", "no model_type": {**config, "model_type": None}, "empty": {},
        "hidden_size str": {**config, "hidden_size": "x"}, "hidden_size 0": {**config, "hidden_size": 0},
        "layers str": {**config, "num_hidden_layers": "x"}, "layers -1": {**config, "num_hidden_layers": -1},
        "pad id": {**config, "pad_token_id": 99999999}, "vocab_size str": {**config, "vocab_size": "x"},
        "pad id str": {**config, "pad_token_id": "x"}, "heads 0": {**config, "num_attention_heads": 0},
        "heads 7": {**config, "num_attention_heads": 7}, "layers list": {**config, "num_hidden_layers": [2]},
    }  # fmt: skip
    made = study(encoder__model_name_or_path="./enc")
    for name, value in configs.items():
        text = value if isinstance(value, str) else json.dumps(value)
        files: dict[str, str | bytes | None] = {f"enc/{n}": data for n, data in good.items()}
        files["enc/config.json"] = text
        yield Mistake("encoder", f"config: {name}", made, ("encoder", "."), files=files)
    weights = next(name for name in good if name.endswith(".safetensors"))
    parts: dict[str, dict[str, str | bytes | None]] = {
        "weights are a folder": {f"enc/{weights}": None}, "weights are text": {f"enc/{weights}": "hello"},
        "weights are cut": {f"enc/{weights}": good[weights][:-100]}, "weights are empty": {f"enc/{weights}": b""},
        "config is a folder": {"enc/config.json": None},
    }  # fmt: skip
    for name, part in parts.items():
        files = {f"enc/{n}": data for n, data in good.items()}
        yield Mistake("encoder", name, made, ("encoder", "."), files={**files, **part})
    for name in [*good, *(n for n in good if n.startswith("tokenizer"))]:
        if name in ("config.json", weights, "tokenizer.json"):
            files = {f"enc/{n}": data for n, data in good.items() if n != name}
            yield Mistake("encoder", f"without {name}", made, ("encoder", "."), files=files)
    for value in ("a b/c", "a//b", "a/b/c/d", "-a/b", "a..b/c", "", " ", "x" * 500, "a\0b", "~nosuch/enc", "./nope",
                  "/nope", "é/x", "a/b.git", 3, None, True):  # fmt: skip
        text = study(encoder__model_name_or_path=value)
        yield Mistake("encoder", f"name {str(value)[:20]!r}", text, (r"encoder", "."))
    yield Mistake("encoder", "a revision of the embedded", study(encoder__revision="abc"), ("encoder.revision", "."))
    for layer in (99, -99, -4):
        text = study(targets=["cldr_match"], encoder__retrieval_layer=layer)
        yield Mistake("encoder", f"retrieval_layer {layer}", text, ("encoder.retrieval_layer", "give"))
    for name, value in {"pooling": "max", "attention": "causal", "retrieval_pooling": "last", "poling": 1}.items():
        yield Mistake("encoder", f"{name} {value}", study(**{f"encoder__{name}": value}), ("encoder", "."))


def _storage() -> Iterator[Mistake]:
    for value in ("~nosuch/x", "a\0b", "s3://", "s3:///x", "file://rel", "file://", "nosuch://x/y", "gs://", 3, None,
                  True, "", "x" * 5000, "s.yaml", "s.yaml/x"):  # fmt: skip
        text = study(storage_path=value)
        yield Mistake("storage", f"storage_path {str(value)[:20]!r}", text, ("storage_path", "."))
    for value in ("~nosuch/x", "a\0b", "nope", "s.yaml", 3, True, "", "x" * 5000):
        yield Mistake("storage", f"data_dir {str(value)[:20]!r}", study(data_dir=value), ("data_dir", "."))


GROUPS = {
    "yaml": _yaml, "file": _file, "names": _names, "tasks": _tasks, "numbers": _numbers,
    "hyperparameters": _hyperparameters, "search": _search, "task_files": _task_files, "encoder": _encoder,
    "storage": _storage,
}  # fmt: skip


def mistakes(group: str | None = None) -> Iterator[Mistake]:
    """All mistakes, or those of one group."""
    for name, made in GROUPS.items():
        if group in (None, name):
            yield from made()


class _TooLong(BaseException):
    pass


def _too_long(number: int, frame: FrameType | None) -> None:
    raise _TooLong


def judge(mistake: Mistake) -> str | None:
    """What is wrong with the end of `raystilts plan` for a mistake; None where it is right."""
    here, arguments, tasks = Path.cwd(), sys.argv, dict(registry._TASKS)
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        _write({"s.yaml": mistake.text, **mistake.files})
        before = {*Path().rglob("*")}
        out, err = io.StringIO(), io.StringIO()
        sys.argv = ["raystilts", "plan", mistake.file, *mistake.options]
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(SECONDS)
        code: object = 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as end:
            code = end.code
        except _TooLong:
            return f"more than {SECONDS} s"
        except (Exception, RecursionError, MemoryError) as error:
            return f"traceback: {traceback.format_exception_only(error)[-1].strip()[:200]}"
        finally:
            signal.alarm(0)
            after = {path for path in Path().rglob("*") if "__pycache__" not in path.parts}
            os.chdir(here)
            sys.argv = arguments
            registry._TASKS.clear()
            registry._TASKS.update(tasks)
    written = sorted(map(str, after - before))
    return _fault(code, err.getvalue().strip(), written, mistake)


def _fault(code: object, said: str, written: list[str], mistake: Mistake) -> str | None:
    lines = said.splitlines()
    if code != 2:
        return f"exit code {code}: {said[-200:]}"
    if not 1 <= len(lines) <= LINES:
        return f"{len(lines)} lines: {said[:200]}"
    if max(map(len, lines)) > CHARACTERS:
        return f"a line of {max(map(len, lines))} characters: {said[:200]}"
    missing = [pattern for pattern in mistake.says if not re.search(ALLOWED if pattern == "." else pattern, said)]
    if missing:
        return f"does not say {missing[0]!r}: {said[:300]}"
    return f"wrote {written[0]}" if written else None


def _write(files: dict[str, str | bytes | None]) -> None:
    for name, content in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


def run() -> int:
    """Tries all mistakes; 1 if one ends wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", choices=list(GROUPS))
    parser.add_argument("--all", action="store_true", help="print what each ends in")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.environ["HF_HUB_OFFLINE"] = "1"
    registry.all_tasks()
    tried, wrong, faults = Counter[str](), Counter[str](), []
    for mistake in mistakes(options.group):
        fault = judge(mistake)
        tried[mistake.group] += 1
        if fault is not None:
            wrong[mistake.group] += 1
            faults.append(f"{mistake.group} | {mistake.name} | {fault}")
        if options.all:
            print(f"{mistake.group} | {mistake.name} | {fault or 'right'}")
    print(f"{'group':<16}{'tried':>7}{'right':>7}{'wrong':>7}")
    for group, number in [*tried.items(), ("all", tried.total())]:
        bad = wrong.total() if group == "all" else wrong[group]
        print(f"{group:<16}{number:>7}{number - bad:>7}{bad:>7}")
    print("\n".join(faults))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(run())
