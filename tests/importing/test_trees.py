"""Folders as tools leave them: each is known by its own files and gives the same rows."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raystilts.errors import UserError
from raystilts.importing.items import read_items
from raystilts.importing.table import Imported
from raystilts.results.results import Results

Import = Callable[..., Imported]
Scores = Callable[[], pd.DataFrame]


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def _mteb(root: Path, model: str, revision: str, task: str, scores: dict[str, list[dict[str, Any]]]) -> None:
    folder = root / model.replace("/", "__") / revision
    _write(folder / f"{task}.json", {"dataset_revision": "abc", "evaluation_time": 1.5, "kg_co2_emissions": None,
                                     "mteb_version": "1.12.75", "scores": scores, "task_name": task})  # fmt: skip
    _write(folder / "model_meta.json", {"name": model, "revision": revision})


def test_mteb(load: Import, scores: Scores, tmp_path: Path) -> None:
    root = tmp_path / "results"
    for model, shift in (("intfloat/e5", 0.0), ("me/e5-nli", 0.1)):
        entry = {"accuracy": 0.4, "f1": 0.3, "scores_per_experiment": [{"accuracy": 0.4}]}
        _mteb(root, model, "e4ce98", "Massive", {"test": [
            entry | {"hf_subset": "is", "languages": ["isl-Latn"], "main_score": 0.4 + shift},
            entry | {"hf_subset": "zh-CN", "languages": ["cmn-Hans"], "main_score": 0.5 + shift},
            entry | {"hf_subset": "zh-TW", "languages": ["cmn-Hant"], "main_score": 0.45 + shift},
        ]})  # fmt: skip
        _mteb(root, model, "e4ce98", "STS", {"validation": [
            {"hf_subset": "default", "languages": ["deu-Latn"], "main_score": -0.02 + shift, "cosine_pearson": 0.1}
        ]})  # fmt: skip
    _mteb(root, "me/e5-nli", "e4ce98", "GPUSpeedTask", {"test": [
        {"hf_subset": "default", "languages": ["eng-Latn"], "main_score": 10130.1}
    ]})  # fmt: skip
    done = load(root, baseline="intfloat/e5")
    assert "left out, no score from 0 to 1: GPUSpeedTask" in done.said
    frame = scores().query("intermediate == 'me/e5-nli'")
    assert frame[["target", "language", "split", "value"]].round(6).values.tolist() == [
        ["Massive", "is", "test", 0.5], ["Massive", "zh-CN", "test", 0.6], ["Massive", "zh-TW", "test", 0.55],
        ["STS", "de", "test", 0.08],
    ]  # fmt: skip
    assert done.said[0] == "MTEB results: 5 files"
    gains = Results(tmp_path / "out").matrix("gain").query("language == 'macro'")
    assert gains["gain"].round(6).tolist() == [0.1, 0.1]


def _text_results(path: Path, f1: float) -> None:
    """As the examples of transformers 2 and 3 wrote them, with the report of seqeval."""
    report = "             precision    recall  f1-score   support\n\n         LOC       0.79      0.78      0.78   566"
    _write(path, f"f1 = {f1}\nloss = 0.101587873096787\nprecision = 0.8149959250203749\nreport = {report}\n")


def test_results_as_text(load: Import, scores: Scores, tmp_path: Path) -> None:
    root = tmp_path / "baseline_results"
    for language in ("bam", "zul"):
        for model, f1 in (("xlmrbase", 0.7), ("afroxlmr", 0.8)):
            for seed in (1, 2):
                _text_results(root / f"{language}_{model}" / f"test_result{seed}.txt", f1 + seed / 100)
    _text_results(root / "bam_xlmrbase" / "eval_results.txt", 0.5)
    _write(root / "bam_xlmrbase" / "test_result3.txt", "killed\n")
    names = "{language}_{intermediate}"
    done = load(root, path=names, constants={"target": "ner"}, baseline="xlmrbase", metrics=["f1"])
    frame = scores().query("metric == 'f1' and language == 'bam'").sort_values(["intermediate", "split", "seed"])
    assert frame[["intermediate", "split", "seed", "value"]].round(6).values.tolist() == [
        ["afroxlmr", "test", 1, 0.81], ["afroxlmr", "test", 2, 0.82],
        ["none", "dev", 0, 0.5], ["none", "test", 1, 0.71], ["none", "test", 2, 0.72],
    ]  # fmt: skip
    assert any("no line such as 'f1 = 0.79', left out: bam_xlmrbase/test_result3.txt" in said for said in done.said)
    assert any("left out (lower is better): loss" in said for said in done.said)
    assert any("no seeds in 2 of" in said for said in done.said)


def _lm_eval(root: Path, model: str, stamp: str, results: dict[str, Any], **more: Any) -> Path:
    folder = root / model.replace("/", "__")
    path = folder / f"results_{stamp}.json"
    _write(path, {
        "results": results, "group_subtasks": {}, "configs": {}, "versions": {}, "n-shot": {},
        "higher_is_better": {task: {"acc": True, "word_perplexity": False} for task in results},
        "n-samples": {task: {"original": 4, "effective": 4} for task in results},
        "config": {"model": "hf", "model_args": f"pretrained={model},dtype=float32", "random_seed": 0},
        "model_name": model, "model_name_sanitized": model.replace("/", "__"), "date": 1.7e9,
    } | more)  # fmt: skip
    return path


def test_lm_eval_with_samples(load: Import, scores: Scores, tmp_path: Path) -> None:
    root, date = tmp_path / "lm", "2024-11-29T01-02-03.456"
    for model, acc in (("gpt2", 0.5), ("me/gpt2-mnli", 0.75)):
        task = {"alias": "rte", "acc,none": acc, "acc_stderr,none": 0.03, "sample_len": 4}
        group = {"alias": "mmlu", "acc,none": 0.3, "acc_stderr,none": 0.01}
        sub = {"alias": " - law", "acc,none": 0.3, "acc_stderr,none": "N/A"}
        wiki = {"alias": "wikitext", "word_perplexity,none": 30.1, "word_perplexity_stderr,none": "N/A"}
        gsm = {"alias": "gsm8k", "exact_match,strict-match": 0.1, "exact_match,flexible-extract": 0.2}
        _lm_eval(root, model, date, {"rte": task, "mmlu": group, "mmlu_law": sub, "wikitext": wiki, "gsm8k": gsm},
                 group_subtasks={"mmlu": ["mmlu_law"], "rte": []})  # fmt: skip
        lines = [{"doc_id": i, "doc": {}, "target": "0", "resps": [], "filtered_resps": [], "filter": "none",
                  "metrics": ["acc"], "acc": float(i < acc * 4)} for i in range(4)]  # fmt: skip
        _write(root / model.replace("/", "__") / f"samples_rte_{date}.jsonl", "\n".join(map(json.dumps, lines)))
    done = load(root, baseline="gpt2")
    frame = scores().query("intermediate == 'me/gpt2-mnli'")
    assert frame[["target", "metric", "value"]].values.tolist() == [
        ["gsm8k", "exact_match,flexible-extract", 0.2], ["gsm8k", "exact_match,strict-match", 0.1],
        ["mmlu_law", "acc", 0.3], ["rte", "acc", 0.75],
    ]  # fmt: skip
    assert any(said.startswith("averages over groups of tasks left out: mmlu") for said in done.said)
    assert any("lower is better" in said and "word_perplexity" in said for said in done.said)
    items = read_items(tmp_path / "out")
    assert done.items == len(items) == 8
    assert items.groupby("intermediate")["value"].mean().to_dict() == {"gpt2": 0.5, "me/gpt2-mnli": 0.75}
    load(root, baseline="gpt2")
    assert len(read_items(tmp_path / "out")) == 8


def test_lm_eval_run_twice_counts_with_the_later(load: Import, scores: Scores, tmp_path: Path) -> None:
    root = tmp_path / "lm"
    _lm_eval(root, "gpt2", "2024-11-29T01-02-03.4", {"rte": {"acc,none": 0.5}}, date=1.0)
    _lm_eval(root, "gpt2", "2024-11-30T01-02-03.4", {"rte": {"acc,none": 0.6}}, date=2.0)
    done = load(root)
    assert scores()["value"].tolist() == [0.6]
    assert any("1 results of earlier runs" in said for said in done.said)


def test_lm_eval_with_its_keys_in_another_order(load: Import, scores: Scores, tmp_path: Path) -> None:
    """As trackers write it (`config_general` first), or with sorted keys."""
    root = tmp_path / "lm"
    for model, acc in (("gpt2", 0.5), ("mnli", 0.75)):
        path = _lm_eval(root, model, "2024-11-29T01-02-03.4", {"rte": {"acc,none": acc}})
        found = json.loads(path.read_text())
        first = {"config_general": {"lighteval_sha": "?" * 40, "num_fewshot_seeds": 1, "max_samples": None}}
        path.write_text(json.dumps(first | found if model == "gpt2" else dict(sorted(found.items()))))
    load(root, baseline="gpt2")
    assert scores()[["intermediate", "value"]].values.tolist() == [["mnli", 0.75], ["none", 0.5]]


def test_lm_eval_of_earlier_versions(load: Import, scores: Scores, tmp_path: Path) -> None:
    """As those lie in the harness's own repository: files named freely, metrics without filters, no date."""
    for model, shift in (("me/base", 0.0), ("me/tuned", 0.1)):
        tasks = {"xcopa_zh": {"acc": 0.5 + shift, "acc_stderr": 0.02}, "xcopa_ht": {"acc": 0.4 + shift}}
        _write(tmp_path / "old" / f"{model[3:]}_xcopa_0-shot.json", {
            "results": tasks, "versions": dict.fromkeys(tasks, 0),
            "config": {"model": "hf-causal", "model_args": f"pretrained={model},use_accelerate=True"}})  # fmt: skip
    load(tmp_path / "old", baseline="me/base")
    assert scores()[["intermediate", "target", "metric", "value"]].round(6).values.tolist() == [
        ["me/tuned", "xcopa_ht", "acc", 0.5], ["me/tuned", "xcopa_zh", "acc", 0.6],
        ["none", "xcopa_ht", "acc", 0.4], ["none", "xcopa_zh", "acc", 0.5],
    ]  # fmt: skip


def _trainer(folder: Path, accuracy: float) -> None:
    final = {"epoch": 3.0, "eval_accuracy": accuracy, "eval_loss": 0.5, "eval_runtime": 3.2, "eval_samples": 277,
             "eval_samples_per_second": 80.1, "eval_steps_per_second": 10.0, "train_loss": 0.3,
             "train_runtime": 100.0, "train_samples": 2490, "total_flos": 1e15}  # fmt: skip
    _write(folder / "all_results.json", final)
    _write(folder / "eval_results.json", {k: v for k, v in final.items() if k.startswith("eval")})
    _write(folder / "predict_results.json", {"predict_accuracy": accuracy - 0.01, "predict_loss": 0.6})
    history = [{"epoch": 1.0, "loss": 0.6, "learning_rate": 1e-5, "step": 100},
               {"epoch": 1.0, "eval_accuracy": accuracy - 0.1, "eval_loss": 0.6, "eval_runtime": 3.0, "step": 100},
               {"epoch": 2.0, "eval_accuracy": accuracy - 0.02, "eval_loss": 0.55, "step": 200}]  # fmt: skip
    _write(folder / "trainer_state.json", {"best_metric": accuracy, "global_step": 200, "log_history": history})
    _write(folder / "checkpoint-100" / "trainer_state.json", {"global_step": 100, "log_history": history[:2]})


def test_trainer_folders_by_a_pattern(load: Import, scores: Scores, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    for arm, accuracy in (("none", 0.6), ("mnli", 0.7)):
        for seed in (1, 2):
            _trainer(root / arm / "rte" / f"seed{seed}", accuracy + seed / 100)
    done = load(root, path="{intermediate}/{target}/seed{seed}")
    frame = scores()
    assert set(frame["metric"]) == {"accuracy"}
    mnli = frame.query("intermediate == 'mnli' and seed == 1")
    assert mnli[["split", "step", "value", "is_final"]].round(6).values.tolist() == [
        ["dev", 100, 0.61, False], ["dev", 200, 0.71, True], ["test", 200, 0.7, True]
    ]  # fmt: skip
    assert any(said.startswith("left out (lower is better): loss") for said in done.said)
    best = Results(tmp_path / "out").best().set_index("intermediate")
    assert best.loc["mnli", "seeds"] == 2
    assert best.loc["mnli", "selection"] == "en_dev"


def test_trainer_folders_need_to_be_told_what_their_names_are(load: Import, tmp_path: Path) -> None:
    _trainer(tmp_path / "runs" / "mnli" / "rte", 0.6)
    with pytest.raises(UserError, match=r"no column for intermediate and target; it has: folder_1, folder_2"):
        load(tmp_path / "runs")
    with pytest.raises(UserError, match=r"--path \{arm\}/\{target\}: \{arm\} is unknown"):
        load(tmp_path / "runs", path="{arm}/{target}")


def test_folders_as_columns(load: Import, scores: Scores, tmp_path: Path) -> None:
    _trainer(tmp_path / "runs" / "mnli" / "rte" / "seed_3", 0.6)
    load(tmp_path / "runs", columns={"intermediate": "folder_1", "target": "folder_2"})
    assert scores()[["intermediate", "target", "seed"]].drop_duplicates().values.tolist() == [["mnli", "rte", 3]]


def test_one_file_of_a_run(load: Import, scores: Scores, tmp_path: Path) -> None:
    _trainer(tmp_path / "run", 0.6)
    load(tmp_path / "run" / "all_results.json", constants={"intermediate": "mnli", "target": "rte"})
    assert scores()[["metric", "value"]].values.tolist() == [["accuracy", 0.6]]


def test_jiant(load: Import, scores: Scores, tmp_path: Path) -> None:
    root = tmp_path / "exp" / "runs"
    for name, weights, value in (
        ("plain", "/cache/xlm-roberta-large/model/model.p", 0.7),
        ("stilts", "/exp/runs/mnli/best_model.p", 0.8),
    ):
        metrics = {"major": value, "minor": {"acc": value}}
        span = {"major": value, "minor": {"f1": value + 0.1, "em": value - 0.1}}
        _write(root / name / "val_metrics.json", {"aggregated": value, "rte": {"loss": 0.5, "metrics": metrics},
                                                  "xquad_de": {"loss": 0.5, "metrics": span}})  # fmt: skip
        _write(root / name / "args.json", {"seed": 11, "model_path": weights, "learning_rate": 1e-5,
                                           "hf_pretrained_model_name_or_path": "xlm-roberta-large"})  # fmt: skip
        (root / name / "val_preds.p").write_bytes(b"\x80\x04pickle")
    done = load(root)
    frame = scores().query("intermediate == 'mnli'")
    assert frame[["encoder", "target", "language", "seed", "metric", "value"]].round(6).values.tolist() == [
        ["xlm-roberta-large", "rte", "en", 11, "acc", 0.8], ["xlm-roberta-large", "xquad", "de", 11, "em", 0.7],
        ["xlm-roberta-large", "xquad", "de", 11, "f1", 0.9], ["xlm-roberta-large", "xquad", "de", 11, "major", 0.8],
    ]  # fmt: skip
    assert set(scores()["intermediate"]) == {"none", "mnli"}
    assert set(scores().query("is_main")["metric"]) == {"acc", "major"}
    assert any("pickles" in said for said in done.said)


def test_ray_tune(load: Import, scores: Scores, tmp_path: Path) -> None:
    root = tmp_path / "results" / "sweep"
    for i, (arm, accuracy) in enumerate((("none", 0.5), ("mnli", 0.6), ("qqp", None))):
        folder = root / f"train_{i:05d}_intermediate={arm},seed=1_2024"
        config = {"intermediate": arm, "target": "rte", "seed": 1, "optimiser": {"lr": 1e-5}}
        _write(folder / "params.json", config)
        (folder / "params.pkl").write_bytes(b"\x80\x04pickle")
        lines = [{"accuracy": accuracy + step / 100, "loss": 0.4, "training_iteration": step, "done": step == 2,
                  "time_total_s": 3.0, "trial_id": str(i), "config": config, "pid": 3, "timestamp": 4}
                 for step in (1, 2)] if accuracy else []  # fmt: skip
        _write(folder / "result.json", "\n".join(json.dumps(line) for line in lines) + '\n{"accura')
        if accuracy is None:
            _write(folder / "error.txt", "CUDA out of memory")
    done = load(root)
    assert scores()[["intermediate", "step", "value", "is_final"]].values.tolist() == [
        ["mnli", 1, 0.61, False], ["mnli", 2, 0.62, True], ["none", 1, 0.51, False], ["none", 2, 0.52, True]
    ]  # fmt: skip
    assert (done.runs, done.failed) == (3, 1)


def test_wandb_folders(load: Import, scores: Scores, tmp_path: Path) -> None:
    root = tmp_path / "wandb"
    for i, (arm, accuracy) in enumerate((("none", 0.5), ("mnli", 0.6))):
        files = root / f"run-20241129_01020{i}-abc{i}" / "files"
        _write(files / "wandb-summary.json", {"eval": {"accuracy": accuracy}, "eval/loss": 0.4, "_step": 3,
                                              "_runtime": 9,
                                              "_wandb": {"runtime": 9}})  # fmt: skip
        _write(files / "config.yaml", "wandb_version: 1\n_wandb:\n  desc: null\n  value:\n    t: {1: [1]}\n"
               f"intermediate:\n  desc: null\n  value: {arm}\ntarget:\n  value: rte\nseed:\n  value: 4\n")  # fmt: skip
    (root / "offline-run-1").mkdir()
    (root / "offline-run-1" / "run-1.wandb").write_bytes(b":W&B")
    done = load(root)
    assert scores()[["intermediate", "target", "seed", "metric", "value"]].values.tolist() == [
        ["mnli", "rte", 4, "accuracy", 0.6], ["none", "rte", 4, "accuracy", 0.5]
    ]  # fmt: skip
    assert any("never synchronised" in said for said in done.said)


def test_mlflow_files(load: Import, scores: Scores, tmp_path: Path) -> None:
    root = tmp_path / "mlruns"
    _write(root / "0" / "meta.yaml", "experiment_id: '0'\nname: Default\n")
    for i, (arm, accuracy) in enumerate((("none", 0.5), ("mnli", 0.6))):
        run = root / "471" / f"run{i}"
        _write(run / "meta.yaml", f"lifecycle_stage: active\nrun_id: run{i}\nrun_name: x\nstatus: 3\n")
        for name, value in (("intermediate", arm), ("target", "rte"), ("seed", 2)):
            _write(run / "params" / name, str(value))
        _write(run / "metrics" / "eval_accuracy", f"1795915035659 {accuracy - 0.1} 10\n1795915035660 {accuracy} 20\n")
    load(root)
    assert scores()[["intermediate", "seed", "step", "value", "is_final"]].values.tolist() == [
        ["mnli", 2, 10, 0.5, False], ["mnli", 2, 20, 0.6, True], ["none", 2, 10, 0.4, False], ["none", 2, 20, 0.5, True]
    ]  # fmt: skip


def test_mlflow_database(load: Import, scores: Scores, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.executescript(
            """
            create table runs (run_uuid text, name text, status text, lifecycle_stage text);
            create table params (key text, value text, run_uuid text);
            create table metrics (key text, value real, timestamp int, run_uuid text, step int, is_nan bool);
            create table latest_metrics (key text);
            insert into runs values ('a', 'x', 'FINISHED', 'active'), ('b', 'y', 'FINISHED', 'active');
            insert into params values ('intermediate', 'none', 'a'), ('target', 'rte', 'a'), ('seed', '1', 'a'),
                ('intermediate', 'mnli', 'b'), ('target', 'rte', 'b'), ('seed', '1', 'b');
            insert into metrics values ('accuracy', 0.5, 1, 'a', 0, 0), ('accuracy', 0.6, 1, 'b', 0, 0);
            """
        )
    load(tmp_path / "mlflow.db")
    assert scores()[["intermediate", "value"]].values.tolist() == [["mnli", 0.6], ["none", 0.5]]


def test_a_folder_of_tables(load: Import, scores: Scores, tmp_path: Path) -> None:
    for seed in (1, 2):
        _write(
            tmp_path / "tables" / f"seed{seed}.csv", f"intermediate,target,value\nnone,rte,6{seed}\nmnli,rte,7{seed}\n"
        )
    load(tmp_path / "tables")
    assert scores()[["intermediate", "seed", "value"]].values.tolist() == [
        ["mnli", 1, 0.71], ["mnli", 2, 0.72], ["none", 1, 0.61], ["none", 2, 0.62]
    ]  # fmt: skip


def test_a_folder_without_results(load: Import, tmp_path: Path) -> None:
    _write(tmp_path / "empty" / "notes.md", "nothing")
    with pytest.raises(UserError, match=r"neither tables nor one of MLflow store, .*, MTEB results"):
        load(tmp_path / "empty")


SWEEP = """
import sys

import ray
from ray import tune


def train(config):
    for step in (1, 2):
        tune.report({"accuracy": 0.5 + 0.1 * (config["intermediate"] == "mnli") + step / 100, "eval_loss": 0.3})


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
space = {"intermediate": tune.grid_search(["none", "mnli"]), "target": "rte", "seed": tune.grid_search([1, 2])}
tune.Tuner(train, param_space=space, run_config=tune.RunConfig(storage_path=sys.argv[1], name="s")).fit()
"""


@pytest.mark.slow
def test_what_ray_tune_writes(load: Import, scores: Scores, tmp_path: Path) -> None:
    """A sweep by the library itself: its folders are as `ray_tune` takes them.

    In a process of its own: Ray leaves things behind in one that it was started in.
    """
    subprocess.run([sys.executable, "-c", SWEEP, str(tmp_path / "ray")], check=True, capture_output=True)
    load(tmp_path / "ray")
    final = scores().query("is_final")
    assert final[["intermediate", "seed", "value"]].round(6).values.tolist() == [
        ["mnli", 1, 0.62], ["mnli", 2, 0.62], ["none", 1, 0.52], ["none", 2, 0.52]
    ]  # fmt: skip
