"""XCOPA: trains on English COPA (Social IQa as intermediate before it, as in XTREME-R)."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.multiple_choice import MultipleChoice

TRAIN = Source(
    dataset="xcopa",
    split="train",
    path="aps/super_glue",
    name="copa",
    converter="copa_question",
    rows=400,
    tokens_per_row=44,
)
TEST = Source(
    dataset="xcopa", split="test", path="cambridgeltl/xcopa", name="{language}", converter="copa_question", rows=500
)

TASK = Task(
    name="xcopa",
    type=MultipleChoice(context="{premise} {question}", choices=("choice1", "choice2"), labels=("0", "1")),
    train=TRAIN,
    dev=TRAIN.other("validation", rows=100),
    test=TEST,
    languages=codes("et ht id it qu sw ta th tr vi zh"),
    dev_languages=("en",),
    main_score="accuracy",
    chance=0.5,
    description="Which of two sentences is the cause or the effect? 11 languages; XTREME-R.",
    licence="CC BY 4.0 (XCOPA), BSD 2-Clause (COPA)",
    citation="Ponti et al. 2020, EMNLP, aclanthology.org/2020.emnlp-main.185",
    url="https://github.com/cambridgeltl/xcopa",
)
