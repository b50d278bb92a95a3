"""ANLI, all three rounds. "ANLI+" of Phang et al. 2020 is a mixture of anli, mnli and snli, given in a study file."""

from raystilts.tasks.catalog.mnli import TYPE
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task

TRAIN = Source(
    dataset="anli", split="train_r1+train_r2+train_r3", path="facebook/anli", rows=162_865, tokens_per_row=100
)
DEV = TRAIN.other("dev_r1+dev_r2+dev_r3", rows=3_200)

TASK = Task(
    name="anli",
    type=TYPE,
    train=TRAIN,
    dev=DEV,
    test=TRAIN.other("test_r1+test_r2+test_r3", fallback_splits=(DEV.split,), rows=3_200),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=1 / 3,
    description="Natural language inference written to fool models, three rounds.",
    licence="CC BY-NC 4.0",
    citation="Nie et al. 2020, ACL, aclanthology.org/2020.acl-main.441",
    url="https://github.com/facebookresearch/anli",
)
