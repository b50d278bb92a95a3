"""Social IQa."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.multiple_choice import MultipleChoice

TRAIN = Source(dataset="social_i_qa", split="train", path="allenai/social_i_qa", rows=33_410, tokens_per_row=115)
DEV = TRAIN.other("validation", rows=1_954)

TASK = Task(
    name="social_i_qa",
    type=MultipleChoice(
        context="{context} {question}", choices=("answerA", "answerB", "answerC"), labels=("1", "2", "3")
    ),
    train=TRAIN,
    dev=DEV,
    test=DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=1 / 3,
    description="Why do people do what they do? Three answers (the test labels are hidden).",
    licence="CC BY 4.0",
    citation="Sap et al. 2019, EMNLP, aclanthology.org/D19-1454",
    url="https://leaderboard.allenai.org/socialiqa",
)
