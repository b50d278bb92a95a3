"""Cosmos QA."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.multiple_choice import MultipleChoice

TRAIN = Source(dataset="cosmos_qa", split="train", path="allenai/cosmos_qa", rows=25_262, tokens_per_row=440)
DEV = TRAIN.other("validation", rows=2_985)

TASK = Task(
    name="cosmos_qa",
    type=MultipleChoice(
        context="{context}",
        choice="{question} {choice}",
        choices=("answer0", "answer1", "answer2", "answer3"),
        labels=("0", "1", "2", "3"),
    ),
    train=TRAIN,
    dev=DEV,
    test=DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=0.25,
    description="Reading between the lines of personal stories, four answers (the test labels are hidden).",
    licence="CC BY 4.0",
    citation="Huang et al. 2019, EMNLP, aclanthology.org/D19-1243",
    url="https://wilburone.github.io/cosmos/",
)
