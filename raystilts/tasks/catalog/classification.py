"""Topics of sentences, and plain text for masked language modelling."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification
from raystilts.tasks.types.masked_lm import MaskedLM

# SIB-200: topics of FLORES-200 sentences.
SIB200_TRAIN = Source(
    dataset="sib200",
    split="train",
    path="Davlan/sib200",
    name="{flores}",
    rows=701,
    tokens_per_row=34,
)
SIB200_TOPICS = codes("entertainment geography health politics science/technology sports travel")

SIB200 = Task(
    name="sib200",
    type=SequenceClassification(text="text", label="category", labels=SIB200_TOPICS),
    train=SIB200_TRAIN,
    dev=SIB200_TRAIN.other("validation", rows=99),
    test=SIB200_TRAIN.other("test", rows=204),
    languages=codes(
        "af am ar bg bn cs de el en es et eu fa fi fr ha he hi hu id ig it ja ka kk ko lg "
        "ln lt ml mr my nl ny om pa pl pt qu ro ru rw sn so sw ta te th ti tl tn tr tw uk "
        "ur uz vi wo xh yo zh zu"
    ),
    dev_languages=("en",),
    main_score="accuracy",
    chance=1 / 7,
    description="Which of seven topics is the sentence about? Parallel in 200 languages.",
    licence="CC BY-SA 4.0 (text); annotations as stated in the repository, Apache-2.0",
    citation="Adelani et al. 2024, EACL, aclanthology.org/2024.eacl-long.14",
    url="https://github.com/dadelani/sib-200",
)


# Plain text in many languages, for masked language modelling beside other tasks.
MONO = Task(
    name="mono",
    type=MaskedLM(),
    train=Source(dataset="mono", split="train", rows=10_000, tokens_per_row=35),
    main_score="accuracy",
    description="Lines of text, as mono@sw+hi in the languages wanted; a folder mono/<language>/train.parquet.",
    licence="as the text in the folder",
    citation="none: the user's own text",
    url="https://huggingface.co/datasets/wikimedia/wikipedia",
)
