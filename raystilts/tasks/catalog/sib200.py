"""SIB-200: topics of FLORES-200 sentences."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

TRAIN = Source(
    dataset="sib200",
    split="train",
    path="Davlan/sib200",
    name="{flores}",
    rows=701,
    tokens_per_row=34,
)
TOPICS = codes("entertainment geography health politics science/technology sports travel")

TASK = Task(
    name="sib200",
    type=SequenceClassification(text="text", label="category", labels=TOPICS),
    train=TRAIN,
    dev=TRAIN.other("validation", rows=99),
    test=TRAIN.other("test", rows=204),
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
