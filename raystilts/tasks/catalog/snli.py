"""SNLI."""

from raystilts.tasks.catalog.mnli import TYPE
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task

TRAIN = Source(
    dataset="snli",
    split="train",
    path="stanfordnlp/snli",
    revision="cdb5c3d5eed6ead6e5a341c8e56e669bb666725b",
    converter="labelled",
    rows=549_367,
    tokens_per_row=30,
)

TASK = Task(
    name="snli",
    type=TYPE,
    train=TRAIN,
    dev=TRAIN.other("validation", rows=9_842),
    test=TRAIN.other("test", rows=9_824),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=1 / 3,
    description="Natural language inference on image captions; pairs without a majority label are left out.",
    licence="CC BY-SA 4.0",
    citation="Bowman et al. 2015, EMNLP, aclanthology.org/D15-1075",
    url="https://nlp.stanford.edu/projects/snli/",
)
