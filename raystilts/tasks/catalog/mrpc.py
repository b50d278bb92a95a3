"""Microsoft Research Paraphrase Corpus (GLUE)."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

TYPE = SequenceClassification(
    text="sentence1", text_pair="sentence2", labels=("not_equivalent", "equivalent"), positive=1
)
TRAIN = Source(
    dataset="mrpc",
    split="train",
    path="nyu-mll/glue",
    name="mrpc",
    revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    rows=3_668,
    tokens_per_row=60,
)

TASK = Task(
    name="mrpc",
    type=TYPE,
    train=TRAIN,
    dev=TRAIN.other("validation", rows=408),
    test=TRAIN.other("test", rows=1_725),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=0.5,
    description="Do two news sentences say the same?",
    licence="Microsoft Research Paraphrase Corpus terms",
    citation="Dolan and Brockett 2005, IWP, aclanthology.org/I05-5002",
    url="https://www.microsoft.com/en-us/download/details.aspx?id=52398",
)
