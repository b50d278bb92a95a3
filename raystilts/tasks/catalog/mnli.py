"""MultiNLI."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

TYPE = SequenceClassification(text="premise", text_pair="hypothesis", labels=("entailment", "neutral", "contradiction"))
TRAIN = Source(
    dataset="mnli",
    split="train",
    path="nyu-mll/glue",
    name="mnli",
    revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    rows=392_702,
    tokens_per_row=42,
)
DEV = TRAIN.other("validation", hub_split="validation_matched", rows=9_815)

TASK = Task(
    name="mnli",
    type=TYPE,
    train=TRAIN,
    dev=DEV,
    test=DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=1 / 3,
    description="Does the premise entail the hypothesis? English sentences of ten genres.",
    licence="MultiNLI terms: OANC, CC BY 3.0, CC BY-SA 3.0 and public-domain sources",
    citation="Williams, Nangia and Bowman 2018, NAACL, aclanthology.org/N18-1101",
    url="https://cims.nyu.edu/~sbowman/multinli/",
)
