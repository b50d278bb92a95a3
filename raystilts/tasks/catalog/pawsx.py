"""PAWS-X."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

LANGUAGES = codes("de en es fr ja ko zh")
TRAIN = Source(
    dataset="pawsx",
    split="train",
    path="google-research-datasets/paws-x",
    revision="4cd8187c404bda33cb1f62b49b001115862acf37",
    name="{language}",
    rows=49_401,
    tokens_per_row=64,
)

TASK = Task(
    name="pawsx",
    type=SequenceClassification(text="sentence1", text_pair="sentence2", labels=("0", "1"), positive=1),
    train=TRAIN,
    dev=TRAIN.other("validation", rows=2_000),
    test=TRAIN.other("test", rows=2_000),
    languages=LANGUAGES,
    dev_languages=LANGUAGES,
    main_score="accuracy",
    chance=0.5,
    description="Are two sentences with much the same words paraphrases? 7 languages; XTREME.",
    licence="free for any purpose; attribution to Google LLC appreciated",
    citation="Yang et al. 2019, EMNLP, aclanthology.org/D19-1382",
    url="https://github.com/google-research-datasets/paws/tree/master/pawsx",
    scores_compared="plain accuracy, as in XTREME's evaluate.py",
)
