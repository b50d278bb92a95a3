"""Named entities: WikiAnn in XTREME's splits (PAN-X)."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.tagging import Tagging

LABELS = codes("O B-PER I-PER B-ORG I-ORG B-LOC I-LOC")
TYPE = Tagging(tags="ner_tags", labels=LABELS, scores="entities")
TRAIN = Source(
    dataset="panx",
    split="train",
    path="google/xtreme",
    name="PAN-X.{language}",
    rows=20_000,
    tokens_per_row=16,
)

TASK = Task(
    name="panx",
    type=TYPE,
    train=TRAIN,
    dev=TRAIN.other("validation", rows=10_000),
    test=TRAIN.other("test", fallback_splits=("validation",), rows=10_000),
    languages=codes(
        "af ar az bg bn de el en es et eu fa fi fr gu he hi hu id it ja jv ka kk ko lt ml "
        "mr ms my nl pa pl pt qu ro ru sw ta te th tl tr uk ur vi yo zh"
    ),
    dev_languages=codes("de en es nl pl ru"),  # elsewhere a folder's dev file may be the test
    main_score="f1",
    chance=0.0,
    description="Persons, organisations and places in Wikipedia text; XTREME and XTREME-R.",
    licence="WikiAnn terms; text CC BY-SA",
    citation="Pan et al. 2017, ACL, aclanthology.org/P17-1178; Rahimi et al. 2019, P19-1015",
    url="https://github.com/google-research/xtreme",
    scores_compared="seqeval's F1 over BIO spans, as in XTREME's evaluate.py",
)
