"""CCG supertags (CCGbank, which the Linguistic Data Consortium licenses)."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.tagging import Tagging

TRAIN = Source(dataset="ccg", split="train", rows=38_015, tokens_per_row=32)
DEV = TRAIN.other("validation", rows=5_484)

TASK = Task(
    name="ccg",
    type=Tagging(tags="tags", labels=tuple(str(tag) for tag in range(1_363)), scores="accuracy"),
    train=TRAIN,
    dev=DEV,
    test=DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    description="Combinatory categories of words, as numbers 0 to 1362; needs your own licensed copy in a folder.",
    licence="LDC User Agreement (LDC2005T13)",
    citation="Hockenmaier and Steedman 2007, Computational Linguistics 33, aclanthology.org/J07-3004",
    url="https://catalog.ldc.upenn.edu/LDC2005T13",
)
