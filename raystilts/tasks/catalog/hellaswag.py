"""HellaSwag."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.multiple_choice import MultipleChoice

TRAIN = Source(
    dataset="hellaswag",
    split="train",
    path="Rowan/hellaswag",
    revision="218ec52e09a7e7462a5400043bb9a69a41d06b76",
    rows=39_905,
    tokens_per_row=336,
)
DEV = TRAIN.other("validation", rows=10_042)

TASK = Task(
    name="hellaswag",
    type=MultipleChoice(context="{ctx}", choices=("endings",), labels=("0", "1", "2", "3")),
    train=TRAIN,
    dev=DEV,
    test=DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=0.25,
    description="How does the scene go on? One of four endings (the test labels are hidden).",
    licence="MIT",
    citation="Zellers et al. 2019, ACL, aclanthology.org/P19-1472",
    url="https://rowanzellers.com/hellaswag/",
)
