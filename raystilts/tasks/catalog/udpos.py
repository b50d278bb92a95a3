"""Parts of speech: Universal Dependencies."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.tagging import Tagging

UPOS = codes("ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X")
TYPE = Tagging(tags="pos_tags", labels=UPOS, scores="pos")
TRAIN = Source(
    dataset="udpos",
    split="train",
    path="google/xtreme",
    name="udpos.{language_name}",
    rows=21_253,
    tokens_per_row=24,
)

TASK = Task(
    name="udpos",
    type=TYPE,
    train=TRAIN,
    dev=TRAIN.other("validation", rows=3_974),
    test=TRAIN.other("test", rows=900),
    languages=codes(
        "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko lt mr nl pl pt ro ru "
        "ta te th tl tr uk ur vi wo yo zh"
    ),
    dev_languages=("en",),
    main_score="xtreme_pos_f1",
    description="Universal part-of-speech tags; XTREME and XTREME-R.",
    licence="by treebank: CC BY-SA 3.0 and 4.0, CC BY-NC-SA 3.0 and 4.0",
    citation="Nivre et al. 2020, LREC, aclanthology.org/2020.lrec-1.497",
    url="https://universaldependencies.org",
    scores_compared='XTREME\'s chunk F1 ("xtreme_pos_f1"); word accuracy stands beside it',
)
