"""BUCC 2018: mining translations in two collections. XTREME's dev data is BUCC's sample, its test data BUCC's training.

A folder holds, for each language, `pool_source`, `pool_target` (id, sentence) and `validation` (source_id, target_id),
and the same with `test_pool_source`, `test_pool_target` and `test`. Copies on the hub lack the sentences of no pair.
`bucc2018_sample` needs the dev data alone: in two halves by pairs, the threshold from one, the score on the other.
"""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.mining import Mining

DEV = Source(dataset="bucc2018", split="pool_source+pool_target+validation", converter="bucc_sides", rows=68_000)
TEST = DEV.other("test_pool_source+test_pool_target+test", rows=660_000)
LANGUAGES = codes("de fr ru zh")


def _task(name: str, dev: Source, test: Source, compared: str) -> Task:
    return Task(
        name=name,
        type=Mining(),
        dev=dev,
        test=test,
        languages=LANGUAGES,
        dev_languages=LANGUAGES,
        main_score="f1",
        chance=0.0,
        description="Finds the pairs that translate each other between English and another language; XTREME.",
        licence="BUCC 2018 shared-task terms; Wikipedia text CC BY-SA",
        citation="Zweigenbaum, Sharoff and Rapp 2018, BUCC at LREC",
        url="https://comparable.limsi.fr/bucc2018/bucc2018-task.html",
        scores_compared=f"margin mining and thresholds with XTREME's utils_retrieve.py on random vectors; {compared}",
    )


OFFICIAL = _task("bucc2018", DEV, TEST, "scores on the full test data were never compared here")
HALF, REST = (DEV.carved(part, share=0.5, by=("unit",), rows=34_000) for part in ("dev", "train"))
TASKS = [OFFICIAL, _task("bucc2018_sample", HALF, REST, "half of the sample is not XTREME's test data")]
