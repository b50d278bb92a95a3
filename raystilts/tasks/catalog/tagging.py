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


# Parts of speech of Universal Dependencies 2.16, a treebank a language. A folder may hold the treebanks of any other
# release that one wants, as the release has them, as ud/<language>/<split>.conllu.
#
# language treebank commit
_TREEBANKS = """
af Afrikaans-AfriBooms b9e55dcee1db036af13cae975a555471dc1139b8
ar Arabic-PADT 94c3ad73a72d8bd1c2f0dfdb84f0c4327b2feb7d
bg Bulgarian-BTB ddcce206ae0c09f19b7b2a120e0fe6a28f45ec06
de German-GSD 0726bb0c7e7328d5ef1a5d65c70d184882eacd95
el Greek-GDT 13efd94c66ad630a70245712f91a1e8d582614a6
en English-EWT 4c89b5833a70aa5ed3a00bad2f23f57992cc7df8
es Spanish-GSD 85cc9ba98d7e91b536e5c3da2956e8c2f818ad1f
et Estonian-EDT 2351877181638e0df11b9745451a45ec3de2f3dc
eu Basque-BDT 2640e2ebb14fd0ca39744897033375d1516f2ca9
fa Persian-Seraji 32e1ed5845fe2d87849653f3df62a06c949061ca
fi Finnish-TDT e7ad38b96189b3f43472442703d26b8a315b6589
fr French-GSD 42fdb4fc842d060c9f8af663c6ba5db229354e8c
he Hebrew-HTB 0073820cdced1b4e5091bcf6a17a59f959a6ef43
hi Hindi-HDTB 2e5314f0966b1d4df7587d38ae7707d4b26cbf40
hu Hungarian-Szeged a553100de17bc9b34798bdbceacbd37c46c09eb0
id Indonesian-GSD a1222f691d5437be4c7e8db11a2c31e68f1a7d01
it Italian-ISDT 81c1a00644147588d285c3e3f8662b9d1df92f16
ja Japanese-GSD 8e5794fae6d25796437a64a08c497a5c870b7b09
kk Kazakh-KTB ad5662c808146197e899ab769c4f6c78affd392f
ko Korean-GSD 60ffc4f2f0cbf0bf816f0d44a7339512f5ce9c25
lt Lithuanian-ALKSNIS 689bf1f28cc85c8270ce9e09d31248c6be3c3dcb
mr Marathi-UFAL 8546d792da57ca81a1f24d8878cfe62a1868e393
nl Dutch-Alpino b323b32cdd66ef2a9c7c86ed078620e103e078dc
pl Polish-PDB ec9fd1e8b92851dc0dbaa54947b67ac3f90680a7
pt Portuguese-GSD 5edd2ef9dceb88058f64b823b6980bd856d7f892
ro Romanian-RRT f4cf72215ebf330d20ab73dbcb9effc114adcc80
ru Russian-GSD 27975702bf9507f0a244007f47345239a2d39c2f
ta Tamil-TTB d7432d3963ff9107764d869dd3c6598417884f3d
te Telugu-MTG f82c0d053e563fbd4913ddf6f13fd3251922ddcd
th Thai-PUD fd3b55f482bf4abe0c7372ca6aa85c61d75b3f47
tl Tagalog-TRG 91e3cfdc44079c9e45a1c57571b7dd98ebae9959
tr Turkish-BOUN cfa62ac55a426d596700eceac436944e5cf0a967
uk Ukrainian-IU dd951f6f474583289a09e93f1a0e7bf95f93f350
ur Urdu-UDTB ed8da673c32352fb78036808349a9546e21fc78a
vi Vietnamese-VTB c1a8853e9ba599e0c0825f5960a1d7cdd2712ea3
wo Wolof-WTB 8c3d6d564efe0a88a3926fe8455f258b49b6d455
yo Yoruba-YTB 528532be2f5c69d3cfb76d1c4ec23b830a34473d
zh Chinese-GSDSimp 9b1fc1d388b8f4ac7cf12a704995618571454b80
"""


def _treebank(line: str) -> tuple[str, Source]:
    """The language and the training data of a treebank, in its own repository at the commit of the release."""
    language, name, commit = line.split()
    return language, Source(
        dataset="ud",
        split="train",
        path=f"github:UniversalDependencies/UD_{name}",
        hub_files=f"{language}_{name.partition('-')[2].lower()}-ud-{{split}}.conllu",
        revision=commit,
    )


UD_TREEBANKS = dict(map(_treebank, _TREEBANKS.strip().splitlines()))
UD_TRAIN = UD_TREEBANKS["en"].model_copy(update={"by_language": UD_TREEBANKS, "rows": 12_544, "tokens_per_row": 24})
UD = UDPOS.model_copy(
    update={
        "name": "ud",
        "train": UD_TRAIN,
        "dev": UD_TRAIN.other("validation", hub_split="dev", rows=2_001),
        "test": UD_TRAIN.other("test", rows=900),
        "main_score": "accuracy",
        "description": "Universal part-of-speech tags of release 2.16 (or a folder's own), a treebank a language.",
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
