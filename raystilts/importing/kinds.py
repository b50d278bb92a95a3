"""What a name is the name of: a metric (and which way is better), a language, a seed, a split, a statistic."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from typing import Literal

Kind = Literal["target", "intermediate", "language", "metric", "seed", "split", "stat", "fraction"]
Direction = Literal["higher", "lower", "cost"]

#: The column that holds the names of the sheets of a workbook.
SHEET = "sheet"
_HIGHER = frozenset((
    "acc", "accuracy", "f1", "em", "exact", "match", "exactmatch", "score", "scores", "map", "mrr", "ndcg",
    "recall", "precision", "auc", "auroc", "auprc", "roc", "bleu", "rouge", "rougel", "rouge1", "rouge2", "chrf",
    "sacrebleu", "meteor", "pearson", "pearsonr", "spearman", "spearmanr", "correlation", "corr", "matthews", "mcc",
    "kappa", "kendall", "cosine", "reward", "hits", "jaccard", "iou", "dice", "r2", "pass", "likelihood", "gain",
    "balanced", "specificity", "sensitivity", "mauve", "bertscore", "comet", "las", "uas", "upos", "main",
))  # fmt: skip
_LOWER = frozenset(
    [
        "loss",
        "losses",
        "perplexity",
        "ppl",
        "error",
        "errors",
        "err",
        "wer",
        "cer",
        "ter",
        "mse",
        "rmse",
        "mae",
        "nll",
        "bpb",
        "bpc",
        "bits",
        "eer",
        "fpr",
        "fnr",
        "brier",
        "ece",
        "regret",
        "distance",
        "divergence",
        "kl",
        "logloss",
        "crossentropy",
        "entropy",
        "rank",
        "toxicity",
        "hamming",
        "rms",
    ]
)
#: No measure of quality: what a run took, or how it was set.
_COST = frozenset(
    [
        "runtime",
        "time",
        "seconds",
        "second",
        "latency",
        "duration",
        "flos",
        "flops",
        "memory",
        "mem",
        "gb",
        "mb",
        "epoch",
        "epochs",
        "step",
        "steps",
        "iteration",
        "iterations",
        "learning",
        "lr",
        "batch",
        "throughput",
        "tokens",
        "norm",
        "timestamp",
        "co2",
        "emissions",
        "wall",
        "size",
        "samples",
        "pid",
        "checkpoint",
        "created",
        "iter",
        "restored",
        "node",
        "trial",
        "done",
    ]
)
_RATES = frozenset(["error", "errors", "err", "wer", "cer", "ter", "eer", "fpr", "fnr", "hamming"])
_SIGNED = (
    "main_score",
    "pearson",
    "spearman",
    "matthews",
    "mcc",
    "kappa",
    "correlation",
    "corr",
    "kendall",
    "cosine",
    "r2",
)
_SPLITS = {
    "validation": "dev", "valid": "dev", "val": "dev", "development": "dev", "eval": "dev", "dev": "dev",
    "validation_matched": "dev", "dev_matched": "dev", "test": "test", "predict": "test", "train": "train",
    "testing": "test", "training": "train", "test_matched": "test",
}  # fmt: skip
_AFFIX = "train|validation|valid|val|eval|dev|test|predict"
_SUMMARIES = frozenset(
    [
        "avg",
        "avg.",
        "average",
        "averages",
        "mean",
        "means",
        "overall",
        "macro",
        "macro_avg",
        "macro-avg",
        "macro-average",
        "macro_average",
        "total",
        "median",
        "all_avg",
        "ø",
        "µ",
        "mean_score",
    ]
)
_STATS = {
    "mean": "value", "avg": "value", "average": "value", "std": "std", "stdev": "std", "sd": "std", "std_dev": "std",
    "stddev": "std", "standard_deviation": "std", "stderr": "stderr", "se": "stderr", "sem": "stderr", "n": "runs",
    "count": "runs", "runs": "runs", "n_runs": "runs", "num_seeds": "runs", "n_seeds": "runs",
}  # fmt: skip
_SEED = re.compile(r"(?:random[ _-]?)?(?:seed|run|trial|rep|repeat|s|r|fold)?[ _#=-]*(\d+)")
_HYPERPARAMETER = re.compile(r"(?:^|_)(?:lr|learning_rate|batch_size|epochs|weight_decay|warmup)(?:_|$)")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_](?:[A-Z]{2}|[A-Z][a-z]{3}))?")


def words(name: str) -> list[str]:
    """The words of a name, in lower case: `evalAcc_norm` is eval, acc, norm."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def direction(metric: str) -> Direction | None:
    """Which way a metric is better; None where its name does not tell."""
    found = words(metric)
    known = [word.rstrip("0123456789") or word for word in found]
    for names, answer in ((_COST, "cost"), (_HIGHER, "higher"), (_LOWER, "lower")):
        if answer == "cost":
            if any(word in names for word in found) and not set(found) & (_HIGHER | _LOWER):
                return "cost"
        elif any(a in names or b in names for a, b in zip(found, known, strict=True)):
            return "higher" if answer == "higher" else "lower"
    return None


def is_setting(name: str) -> bool:
    """Whether a column of numbers tells how a run was set or how much it had: lr, batch_size, n_train; no score."""
    return direction(name) == "cost" or bool(re.match(r"(n|num|number|count)(_of)?[ _-]", name.strip().lower()))


def is_hyperparameter(name: str) -> bool:
    """Whether a column of numbers tells how a training was set, so that rows with other numbers are other arms."""
    return bool(_HYPERPARAMETER.search("_".join(words(name))))


def is_rate(metric: str) -> bool:
    """Whether a lower-is-better metric is a share, so that one minus it is a score."""
    return bool(set(words(metric)) & _RATES)


def is_signed(metric: str, said: Collection[str] = ()) -> bool:
    """Whether a metric may be below zero."""
    return metric in said or any(word in metric.lower() for word in _SIGNED)


def is_average(name: str) -> bool:
    """Whether a name says nothing but that it is of an average; of arms, `avg_checkpoints` and `mnli-avg` are names."""
    return re.sub(r"\s+", "_", name.strip().lower()) in _SUMMARIES


def is_summary(name: str) -> bool:
    """Whether a name of no arm is that of an average over the others, such as `Avg` or `Avg_without_retrieval`."""
    ends = {*words(name)[:1], *words(name)[-1:]}
    return is_average(name) or (bool({"avg", "average"} & ends) and direction(name) is None)


def split_name(name: str) -> str:
    """A split by our names; others as they are, in lower case."""
    plain = name.strip().lower()
    return _SPLITS.get(plain, plain)


def without_split(metric: str) -> tuple[str, str | None]:
    """A metric's name without the split in it: `eval_accuracy` is accuracy on dev, `f1_test` f1 on test."""
    for pattern in (rf"(?P<split>{_AFFIX})[_/. -](?P<metric>.+)", rf"(?P<metric>.+)[_/. -](?P<split>{_AFFIX})"):
        found = re.fullmatch(pattern, metric, re.IGNORECASE)
        if found:
            return found["metric"], split_name(found["split"])
    return metric, None


def seed_of(name: str) -> int | None:
    """The number in a name of a seed such as `seed 3`, `run_3` or `3`."""
    found = _SEED.fullmatch(name.strip().lower())
    return int(found[1]) if found else None


def stat_of(name: str) -> str | None:
    """What of mean, std, stderr and runs a name stands for, as our column."""
    return _STATS.get("_".join(words(name)))


def is_language(name: str) -> bool:
    """Whether a name looks like the code of a language that is known here: of ISO 639-1, or of 639-3 (`deu`)."""
    text = name.strip()
    return bool(_LANGUAGE.fullmatch(text)) and re.split("[-_]", text)[0] in _codes()


@cache
def _codes() -> frozenset[str]:
    from raystilts.tasks.languages import every_code

    return every_code()


def kind_of(names: Iterable[str]) -> Kind | None:
    """What a set of names is; None for names of tasks, or of anything else."""
    texts = [str(name) for name in names]
    if not texts:
        return None
    if all(stat_of(text) for text in texts):
        return "stat"
    runs = [text for text in texts if not is_summary(text)]
    if len(runs) > 1 and all(seed_of(text) is not None for text in runs):
        return "seed"
    if all(text.strip().lower() in _SPLITS for text in texts):
        return "split"
    scored = [direction(text) for text in texts]
    if all(scored) or (
        any(one == "higher" for one in scored) and sum(one is not None for one in scored) > len(texts) / 2
    ):
        return "metric"
    rest = [text for text in texts if not is_summary(text)]
    if len(rest) > 1 and sum(is_language(text) for text in rest) >= 0.8 * len(rest):
        return "language"
    return None
