"""A tag for every word: parts of speech, named entities, supertags."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.tagging import Tagging

# Parts of speech: Universal Dependencies 2.7, one source a language.
#
# google/xtreme's copy is not used: it joins every treebank whose path holds `_<Language>`, so that 456 of the 2,809
# sentences of its Greek test set are modern Greek, and Chinese, French, German and Russian are mixed too.
UDPOS_UPOS = codes("ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X")
UDPOS_TYPE = Tagging(tags="pos_tags", labels=UDPOS_UPOS, scores="pos")
UDPOS_TRAIN = Source(
    dataset="udpos",
    split="train",
    path="izhx/xtreme-r-udpos",
    name="{language}",
    revision="7e002378cc5704114200c479db0c592c7f77f8f8",
    rows=21_253,
    tokens_per_row=24,
)

UDPOS = Task(
    name="udpos",
    type=UDPOS_TYPE,
    train=UDPOS_TRAIN,
    dev=UDPOS_TRAIN.other("validation", rows=3_974),
    test=UDPOS_TRAIN.other("test", rows=900),
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


# Parts of speech of any release of Universal Dependencies (2.16 and later): a folder holds the treebank that one wants
# of a language, as the release has it, as ud/<language>/<split>.conllu.
UD_TRAIN = Source(dataset="ud", split="train", rows=12_544, tokens_per_row=24)
UD = UDPOS.model_copy(
    update={
        "name": "ud",
        "train": UD_TRAIN,
        "dev": UD_TRAIN.other("validation", rows=2_001),
        "test": UD_TRAIN.other("test", rows=900),
        "main_score": "accuracy",
        "description": "Universal part-of-speech tags of the release in the folder, a treebank a language.",
        "scores_compared": "word accuracy; never compared here",
    }
)


# Named entities: WikiAnn in XTREME's splits (PAN-X).
PANX_LABELS = codes("O B-PER I-PER B-ORG I-ORG B-LOC I-LOC")
PANX_TYPE = Tagging(tags="ner_tags", labels=PANX_LABELS, scores="entities")
PANX_TRAIN = Source(
    dataset="panx",
    split="train",
    path="unimelb-nlp/wikiann",
    name="{language}",
    revision="f7875fb3d62a2fd45887ff5d022c89c1aec737ef",
    rows=20_000,
    tokens_per_row=16,
)

PANX = Task(
    name="panx",
    type=PANX_TYPE,
    train=PANX_TRAIN,
    dev=PANX_TRAIN.other("validation", rows=10_000),
    test=PANX_TRAIN.other("test", fallback_splits=("validation",), rows=10_000),
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


# CCG supertags (CCGbank, which the Linguistic Data Consortium licenses).
CCG_ROWS = Source(dataset="ccg", split="train", rows=38_015, tokens_per_row=32)
CCG_TRAIN, CCG_DEV = CCG_ROWS.cut(share=0.05, by=("tokens",))

CCG = Task(
    name="ccg",
    type=Tagging(tags="tags", labels=tuple(str(tag) for tag in range(1_363)), scores="accuracy"),
    train=CCG_TRAIN,
    dev=CCG_DEV,
    test=CCG_ROWS.other("validation", rows=5_484),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    description="Combinatory categories of words, as numbers 0 to 1362; needs your own licensed copy in a folder.",
    licence="LDC User Agreement (LDC2005T13)",
    citation="Hockenmaier and Steedman 2007, Computational Linguistics 33, aclanthology.org/J07-3004",
    url="https://catalog.ldc.upenn.edu/LDC2005T13",
)
