"""Paraphrase: do two sentences say the same?"""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

# Microsoft Research Paraphrase Corpus (GLUE).
MRPC_TYPE = SequenceClassification(
    text="sentence1", text_pair="sentence2", labels=("not_equivalent", "equivalent"), positive=1
)
MRPC_TRAIN = Source(
    dataset="mrpc",
    split="train",
    path="nyu-mll/glue",
    name="mrpc",
    revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    rows=3_668,
    tokens_per_row=60,
)

MRPC = Task(
    name="mrpc",
    type=MRPC_TYPE,
    train=MRPC_TRAIN,
    dev=MRPC_TRAIN.other("validation", rows=408),
    test=MRPC_TRAIN.other("test", rows=1_725),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    description="Do two news sentences say the same?",
    licence="Microsoft Research Paraphrase Corpus terms",
    citation="Dolan and Brockett 2005, IWP, aclanthology.org/I05-5002",
    url="https://www.microsoft.com/en-us/download/details.aspx?id=52398",
)


# Quora Question Pairs (GLUE).
QQP_ROWS = Source(
    dataset="qqp",
    split="train",
    path="nyu-mll/glue",
    name="qqp",
    revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    rows=363_846,
    tokens_per_row=34,
)
QQP_TRAIN, QQP_DEV = QQP_ROWS.cut(share=0.02, by=("question1",))

QQP = Task(
    name="qqp",
    type=SequenceClassification(
        text="question1", text_pair="question2", labels=("not_duplicate", "duplicate"), positive=1
    ),
    train=QQP_TRAIN,
    dev=QQP_DEV,
    test=QQP_ROWS.other("validation", rows=40_430),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    description="Do two questions ask the same? (The test labels are hidden.)",
    licence="Quora's terms of service",
    citation="Iyer, Dandekar and Csernai 2017; GLUE: Wang et al. 2019, ICLR",
    url="https://gluebenchmark.com",
)


# PAWS-X.
PAWSX_LANGUAGES = codes("de en es fr ja ko zh")
PAWSX_TRAIN = Source(
    dataset="pawsx",
    split="train",
    path="google-research-datasets/paws-x",
    revision="4cd8187c404bda33cb1f62b49b001115862acf37",
    name="{language}",
    rows=49_401,
    tokens_per_row=64,
)

PAWSX = Task(
    name="pawsx",
    type=SequenceClassification(text="sentence1", text_pair="sentence2", labels=("0", "1"), positive=1),
    train=PAWSX_TRAIN,
    dev=PAWSX_TRAIN.other("validation", rows=2_000),
    test=PAWSX_TRAIN.other("test", rows=2_000),
    languages=PAWSX_LANGUAGES,
    dev_languages=PAWSX_LANGUAGES,
    main_score="accuracy",
    description="Are two sentences with much the same words paraphrases? 7 languages; XTREME.",
    licence="free for any purpose; attribution to Google LLC appreciated",
    citation="Yang et al. 2019, EMNLP, aclanthology.org/D19-1382",
    url="https://github.com/google-research-datasets/paws/tree/master/pawsx",
    scores_compared="plain accuracy, as in XTREME's evaluate.py",
)
