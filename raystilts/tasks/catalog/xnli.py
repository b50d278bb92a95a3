"""XNLI: trains on MultiNLI, evaluates in 15 languages."""

from raystilts.tasks.catalog.mnli import TRAIN, TYPE
from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task

LANGUAGES = codes("ar bg de el en es fr hi ru sw th tr ur vi zh")
DEV = Source(
    dataset="xnli",
    split="validation",
    path="facebook/xnli",
    revision="b8dd5d7af51114dbda02c0e3f6133f332186418e",
    name="{language}",
    rows=2_490,
)

TASK = Task(
    name="xnli",
    type=TYPE,
    train=TRAIN,
    dev=DEV,
    test=DEV.other("test", rows=5_010),
    languages=LANGUAGES,
    dev_languages=LANGUAGES,
    main_score="accuracy",
    chance=1 / 3,
    description="Natural language inference in 15 languages, professionally translated; XTREME.",
    licence="CC BY-NC 4.0",
    citation="Conneau et al. 2018, EMNLP, aclanthology.org/D18-1269",
    url="https://github.com/facebookresearch/XNLI",
    scores_compared="plain accuracy, as in XTREME's evaluate.py",
)
