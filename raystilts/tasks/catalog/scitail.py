"""SciTail: does a sentence from the web entail an answer to a science question?"""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

TRAIN = Source(
    dataset="scitail", split="train", path="allenai/scitail", name="tsv_format", rows=23_097, tokens_per_row=44
)

TASK = Task(
    name="scitail",
    type=SequenceClassification(text="premise", text_pair="hypothesis", labels=("entails", "neutral")),
    train=TRAIN,
    dev=TRAIN.other("validation", rows=1_304),
    test=TRAIN.other("test", rows=2_126),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=0.5,
    description="Entailment in elementary science.",
    licence="Apache-2.0",
    citation="Khot, Sabharwal and Clark 2018, AAAI",
    url="https://allenai.org/data/scitail",
)
