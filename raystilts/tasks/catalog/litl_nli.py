"""Natural language inference with a linguist in the loop."""

from raystilts.tasks.catalog.mnli import TYPE
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task

TRAIN = Source(dataset="litl_nli", split="train", rows=44_983, tokens_per_row=44)
DEV = TRAIN.other("validation", rows=7_371)

TASK = Task(
    name="litl_nli",
    type=TYPE,
    train=TRAIN,
    dev=DEV,
    test=DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=1 / 3,
    description="Pairs written by crowd workers under the guidance of linguists, three protocols.",
    licence="none stated",
    citation="Parrish et al. 2021, Findings of EMNLP, aclanthology.org/2021.findings-emnlp.421",
    url="https://github.com/Alicia-Parrish/ling_in_loop",
)
