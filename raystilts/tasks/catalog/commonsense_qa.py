"""CommonsenseQA."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.multiple_choice import MultipleChoice

TRAIN = Source(
    dataset="commonsense_qa",
    split="train",
    path="tau/commonsense_qa",
    revision="94630fe30dad47192a8546eb75f094926d47e155",
    rows=9_741,
    tokens_per_row=120,
)
DEV = TRAIN.other("validation", rows=1_221)

TASK = Task(
    name="commonsense_qa",
    type=MultipleChoice(
        context="{question}",
        choices=("choices.text",),
        label="answerKey",
        labels=("A", "B", "C", "D", "E"),
    ),
    train=TRAIN,
    dev=DEV,
    test=DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=0.2,
    description="Questions about everyday knowledge, five answers (the test labels are hidden).",
    licence="MIT",
    citation="Talmor et al. 2019, NAACL, aclanthology.org/N19-1421",
    url="https://www.tau-nlp.sites.tau.ac.il/commonsenseqa",
)
