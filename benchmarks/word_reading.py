"""Zero-shot tagging, a word read at its first sub-word with a character of it and by the rule of the reference.

    RAYSTILTS_DATA_DIR=DATA python benchmarks/word_reading.py E5_SMALL --tasks udpos panx --seeds 0 1 2 3 4 --keep FILE

Trains on English with the same seeds, examples and updates and scores the test data of other languages; prints each
rule's mean score, their difference and the standard deviation of that difference over seeds. `--keep` writes each
training's scores to a file as soon as it has ended; the same command then goes on where it stood.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from statistics import mean, stdev

import pyarrow.parquet as pq
from machine import machine_line
from transformers import AutoTokenizer

from raystilts import Study, plan
from raystilts.tasks.registry import get_task, register
from raystilts.tasks.types.tagging import Tagging
from raystilts.tasks.words import pieces_by_word, word_pieces
from raystilts.training.stage import run_stage

LANGUAGES = ("en", "de", "ru", "ko", "zh", "ja", "th", "my", "yo")


def by_reference(name: str) -> str:
    """Registers the task as XTREME's code reads it."""
    task = get_task(name)
    assert isinstance(task.type, Tagging)
    other = task.model_copy(
        update={"name": f"{name}_first", "type": task.type.model_copy(update={"subwords": "first"})}
    )
    register(other)
    return other.name


def scores(asked: argparse.Namespace, task: str, languages: list[str], seed: int) -> dict[str, float]:
    """The main test score of each language."""
    study = Study.model_validate(
        {
            "name": "word_reading",
            "encoder": {"model_name_or_path": asked.encoder, "pooling": "mean"},
            "intermediates": ["none"],
            "targets": [{"task": task, "languages": languages}],
            "seeds": [seed],
            "hyperparameters": {
                "learning_rate": asked.learning_rate,
                "head_learning_rate": 1e-3,
                "max_train_samples": asked.train,
                "num_train_epochs": asked.epochs,
                "per_device_train_batch_size": 16,
                "load_best_model_at_end": False,
                "bf16": asked.bf16,
            },
            "evaluation": {"eval_steps": 1.0e6, "max_dev_samples": 10, "max_test_samples": asked.test},
        }
    )
    planned = plan(study)
    [stage] = planned.of_kind("target")
    with tempfile.TemporaryDirectory() as folder:
        result = run_stage(stage, study, folder, threads=asked.threads, encoder=planned.encoder)
    return {s.language: s.value for s in result.scores if s.split == "test" and s.is_main}


def kept(asked: argparse.Namespace, task: str, languages: list[str], seed: int) -> dict[str, float]:
    """The same, from the file where this training has been done before."""
    setting = [asked.encoder, languages, asked.train, asked.test, asked.epochs, asked.learning_rate, asked.bf16]
    if asked.keep is not None and asked.keep.exists():
        for line in asked.keep.read_text().splitlines():
            one = json.loads(line)
            if [one["task"], one["seed"], one.get("setting")] == [task, seed, setting]:
                return dict(one["scores"])
    found = scores(asked, task, languages, seed)
    if asked.keep is not None:
        with asked.keep.open("a") as file:
            print(json.dumps({"task": task, "seed": seed, "setting": setting, "scores": found}), file=file)
    return found


def stand_in(folder: Path, task: str, languages: list[str]) -> None:
    """Writes a data folder in which nine tenths of dev data, each sentence once, are test data where there is none."""
    data = Path(os.environ["RAYSTILTS_DATA_DIR"]) / task
    for language in languages:
        own, new = data / language, folder / task / language
        if not (own / "validation.parquet").exists():
            continue
        shutil.copytree(own, new)
        if not (own / "test.parquet").exists():
            rows = pq.read_table(own / "validation.parquet")
            first = {tuple(words): i for i, words in reversed(list(enumerate(rows.column("tokens").to_pylist())))}
            rows = rows.take(sorted(first.values()))
            middle = rows.num_rows * 9 // 10
            pq.write_table(rows.slice(0, middle), new / "test.parquet")
            pq.write_table(rows.slice(middle), new / "validation.parquet")


def count(folder: str, task: str, languages: list[str]) -> None:
    """Prints how often the first sub-word of a word of test data is the bare mark of a space; nothing is trained."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    print("|task|language|words|bare, words alone|bare, in running text|")
    print("|---|---|---|---|---|")
    for language in languages:
        data = Path(os.environ["RAYSTILTS_DATA_DIR"])
        sentences = get_task(task).load_split("test", language, data).column("tokens").to_pylist()
        words = [word for sentence in sentences for word in sentence]
        alone = pieces_by_word(tokenizer, words, 512)
        first = tokenizer.convert_ids_to_tokens(alone.values[alone.offsets[:-1]].tolist())
        bare = sum(not one.strip("\u2581\u0120") for one in first) / len(words)
        _, read = word_pieces(tokenizer, sentences, 512)
        print(f"|{task}|{language}|{len(words)}|{bare:.1%}|{float((read > 0).mean()):.1%}|", flush=True)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("encoder", help="a folder")
    parser.add_argument("--tasks", nargs="+", default=["udpos", "panx"])
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES), help="those of a task that has them")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--count", action="store_true", help="only count bare first sub-words")
    parser.add_argument("--stand-in", type=Path, help="only write such a data folder, for languages without test data")
    parser.add_argument("--train", type=int, default=None, help="training sentences; default all")
    parser.add_argument("--test", type=int, default=None, help="test sentences a language; default all")
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=None, help="a file of the scores of each training")
    asked = parser.parse_args()
    if asked.stand_in is not None:
        for name in asked.tasks:
            stand_in(asked.stand_in, name, asked.languages)
        return
    if asked.count:
        for name in asked.tasks:
            count(asked.encoder, name, [one for one in asked.languages if one in get_task(name).languages])
        return
    print(machine_line(asked.threads))
    print("|task|language|first sub-word|first with a character|difference|s.d. over seeds|")
    print("|---|---|---|---|---|---|")
    for name in asked.tasks:
        languages = [one for one in asked.languages if one in get_task(name).languages]
        reference = by_reference(name)
        done = [[kept(asked, rule, languages, seed) for rule in (reference, name)] for seed in asked.seeds]
        found = dict(zip((reference, name), zip(*done, strict=True), strict=True))
        for language in languages:
            before, after = ([one[language] for one in found[rule]] for rule in (reference, name))
            gains = [b - a for a, b in zip(before, after, strict=True)]
            spread = f"{stdev(gains):.3f}" if len(gains) > 1 else "-"
            print(f"|{name}|{language}|{mean(before):.3f}|{mean(after):.3f}|{mean(gains):+.3f}|{spread}|", flush=True)


if __name__ == "__main__":
    main()
