"""Natural language inference: the English corpora, XNLI, and tests in single languages."""

from typing import Any

from raystilts.tasks.languages import codes
from raystilts.tasks.source import CONVERTED, Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

# MultiNLI.
MNLI_TYPE = SequenceClassification(
    text="premise", text_pair="hypothesis", labels=("entailment", "neutral", "contradiction")
)
MNLI_TRAIN = Source(
    dataset="mnli",
    split="train",
    path="nyu-mll/glue",
    name="mnli",
    revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    rows=392_702,
    tokens_per_row=42,
)
MNLI_DEV = MNLI_TRAIN.other("validation", hub_split="validation_matched", rows=9_815)

#: As a task of its own MultiNLI is reported on its matched dev split, so that its own dev is one premise in fifty.
MNLI_OWN_TRAIN, MNLI_OWN_DEV = MNLI_TRAIN.cut(share=0.02, by=("premise",))

MNLI = Task(
    name="mnli",
    type=MNLI_TYPE,
    train=MNLI_OWN_TRAIN,
    dev=MNLI_OWN_DEV,
    test=MNLI_DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    description="Does the premise entail the hypothesis? English sentences of ten genres.",
    licence="MultiNLI terms: OANC, CC BY 3.0, CC BY-SA 3.0 and public-domain sources",
    citation="Williams, Nangia and Bowman 2018, NAACL, aclanthology.org/N18-1101",
    url="https://cims.nyu.edu/~sbowman/multinli/",
)


# ANLI, all three rounds. "ANLI+" of Phang et al. 2020 is a mixture of anli, mnli and snli, given in a study file.
ANLI_TRAIN = Source(
    dataset="anli",
    split="train_r1+train_r2+train_r3",
    path="facebook/anli",
    name="plain_text",
    revision="80805952b104627bddfec14b5b56127831754bbe",
    rows=162_865,
    tokens_per_row=100,
)
ANLI_DEV = ANLI_TRAIN.other("dev_r1+dev_r2+dev_r3", rows=3_200)

ANLI = Task(
    name="anli",
    type=MNLI_TYPE,
    train=ANLI_TRAIN,
    dev=ANLI_DEV,
    test=ANLI_TRAIN.other("test_r1+test_r2+test_r3", rows=3_200),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    description="Natural language inference written to fool models, three rounds.",
    licence="CC BY-NC 4.0",
    citation="Nie et al. 2020, ACL, aclanthology.org/2020.acl-main.441",
    url="https://github.com/facebookresearch/anli",
)


# SNLI.
SNLI_TRAIN = Source(
    dataset="snli",
    split="train",
    path="stanfordnlp/snli",
    revision="cdb5c3d5eed6ead6e5a341c8e56e669bb666725b",
    converter="labelled",
    rows=549_367,
    tokens_per_row=30,
)

SNLI = Task(
    name="snli",
    type=MNLI_TYPE,
    train=SNLI_TRAIN,
    dev=SNLI_TRAIN.other("validation", rows=9_842),
    test=SNLI_TRAIN.other("test", rows=9_824),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    description="Natural language inference on image captions; pairs without a majority label are left out.",
    licence="CC BY-SA 4.0",
    citation="Bowman et al. 2015, EMNLP, aclanthology.org/D15-1075",
    url="https://nlp.stanford.edu/projects/snli/",
)


# Recognising Textual Entailment (GLUE).
RTE_ROWS = Source(
    dataset="rte",
    split="train",
    path="nyu-mll/glue",
    name="rte",
    revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    rows=2_490,
    tokens_per_row=85,
)
RTE_TRAIN, RTE_DEV = RTE_ROWS.cut(share=0.1, by=("sentence1",))

RTE = Task(
    name="rte",
    type=SequenceClassification(text="sentence1", text_pair="sentence2", labels=("entailment", "not_entailment")),
    train=RTE_TRAIN,
    dev=RTE_DEV,
    test=RTE_ROWS.other("validation", rows=277),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    description="Does a news text entail a sentence? (The test labels are hidden.)",
    licence="PASCAL RTE terms: free for research",
    citation="Dagan, Glickman and Magnini 2006; GLUE: Wang et al. 2019, ICLR",
    url="https://gluebenchmark.com",
)


# SciTail: does a sentence from the web entail an answer to a science question?
SCITAIL_TRAIN = Source(
    dataset="scitail",
    split="train",
    path="allenai/scitail",
    name="tsv_format",
    revision="0cc4353235b289165dfde1c7c5d1be983f99ce44",
    keyed_as=CONVERTED,
    rows=23_097,
    tokens_per_row=44,
)

SCITAIL = Task(
    name="scitail",
    type=SequenceClassification(text="premise", text_pair="hypothesis", labels=("entails", "neutral")),
    train=SCITAIL_TRAIN,
    dev=SCITAIL_TRAIN.other("validation", rows=1_304),
    test=SCITAIL_TRAIN.other("test", rows=2_126),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    description="Entailment in elementary science.",
    licence="Apache-2.0",
    citation="Khot, Sabharwal and Clark 2018, AAAI",
    url="https://allenai.org/data/scitail",
)


# SICK: entailment between sentences of simple, compositional English.
#
# The corpus as its authors published it, in one file, which a repository about it keeps; the hub's copy is a script.
SICK_TRAIN = Source(
    dataset="sick",
    split="train",
    path="github:kkalouli/SICK-processing",
    hub_files="SICK.txt",
    hub_split="TRAIN",
    hub_where={"SemEval_set": "{split}"},
    hub_converter="sick_items",
    file_type=".tsv",
    revision="0848f4aec60870122a4ca18de08ba0e25f6f9a75",
    rows=4_439,
    tokens_per_row=32,
)

SICK = Task(
    name="sick",
    type=SequenceClassification(
        text="sentence_A", text_pair="sentence_B", labels=("entailment", "neutral", "contradiction")
    ),
    train=SICK_TRAIN,
    dev=SICK_TRAIN.other("validation", hub_split="TRIAL", rows=495),
    test=SICK_TRAIN.other("test", hub_split="TEST", rows=4_906),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    description="Natural language inference on image and video captions.",
    licence="CC BY-NC-SA 3.0",
    citation="Marelli et al. 2014, LREC, aclanthology.org/L14-1314",
    url="https://marcobaroni.org/composes/sick.html",
)


# Natural language inference with a linguist in the loop.
LITL_NLI_ROWS = Source(dataset="litl_nli", split="train", rows=44_983, tokens_per_row=44)
LITL_NLI_TRAIN, LITL_NLI_DEV = LITL_NLI_ROWS.cut(share=0.05, by=("premise",))

LITL_NLI = Task(
    name="litl_nli",
    type=MNLI_TYPE,
    train=LITL_NLI_TRAIN,
    dev=LITL_NLI_DEV,
    test=LITL_NLI_ROWS.other("validation", rows=7_371),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    description="Pairs written by crowd workers under the guidance of linguists, three protocols.",
    licence="none stated",
    citation="Parrish et al. 2021, Findings of EMNLP, aclanthology.org/2021.findings-emnlp.421",
    url="https://github.com/Alicia-Parrish/ling_in_loop",
)


# XNLI: trains on MultiNLI, evaluates in 15 languages.
XNLI_LANGUAGES = codes("ar bg de el en es fr hi ru sw th tr ur vi zh")
XNLI_DEV = Source(
    dataset="xnli",
    split="validation",
    path="facebook/xnli",
    revision="b8dd5d7af51114dbda02c0e3f6133f332186418e",
    name="{language}",
    rows=2_490,
)

XNLI = Task(
    name="xnli",
    type=MNLI_TYPE,
    train=MNLI_TRAIN,
    dev=XNLI_DEV,
    test=XNLI_DEV.other("test", rows=5_010),
    languages=XNLI_LANGUAGES,
    dev_languages=XNLI_LANGUAGES,
    main_score="accuracy",
    description="Natural language inference in 15 languages, professionally translated; XTREME.",
    licence="CC BY-NC 4.0",
    citation="Conneau et al. 2018, EMNLP, aclanthology.org/D18-1269",
    url="https://github.com/facebookresearch/XNLI",
    scores_compared="plain accuracy, as in XTREME's evaluate.py",
)


# AfriXNLI: XNLI's items in 16 African languages, beside English and French.
AFRIXNLI_DEV = Source(
    dataset="afrixnli",
    split="validation",
    path="masakhane/afrixnli",
    name="{iso3}",
    revision="7ed3cc98116dfb75345c4c01aedb5ee150c38975",
    language_codes={"sw": "swa", "om": "orm"},
    rows=450,
)
AFRIXNLI_LANGUAGES = codes("am ee en fr ha ig lg ln om rw sn st sw tw wo xh yo zu")

AFRIXNLI = Task(
    name="afrixnli",
    type=MNLI_TYPE,
    train=MNLI_TRAIN,
    dev=AFRIXNLI_DEV,
    test=AFRIXNLI_DEV.other("test", rows=600),
    languages=AFRIXNLI_LANGUAGES,
    dev_languages=AFRIXNLI_LANGUAGES,
    main_score="accuracy",
    description="Natural language inference in 16 African languages, translated by professionals.",
    licence="Apache-2.0; its items are XNLI's, CC BY-NC 4.0",
    citation="Adelani et al. 2025, NAACL, IrokoBench, arxiv.org/abs/2406.03368",
    url="https://huggingface.co/datasets/masakhane/afrixnli",
)


_NLI_PINS = {
    "clue/clue": "28178267a609dd08bdc703dd6c931dfc2c2f4431",
    "klue/klue": "349481ec73fff722f88e0453ca05c77a447d967c",
}

# IndoNLI as its authors published it: the hub's copy is a script.
_NLI_FILES: dict[str, dict[str, Any]] = {
    "indonli": {
        "path": "github:ir-nlp-csui/indonli",
        "hub_files": "data/indonli/{split}.jsonl",
        "hub_converter": "inference_letters",
        "revision": "7b55d8217cc8417a8268b2ee6ba07bbfb75a4c8b",
        "rows": 2_201,
    },
}

# Inference tests in single languages, trained on MultiNLI; without a hub path they need a folder.
# name language split | hub path | configuration | licence | citation | home page
_NLI_TARGETS_TABLE = """
indonli id test_lay|||CC BY-SA 3.0, 4.0|Mahendra et al. 2021, EMNLP|github.com/ir-nlp-csui/indonli
ocnli zh validation|clue/clue|ocnli|CC BY-NC 2.0|Hu et al. 2020, Findings of EMNLP|github.com/CLUEbenchmark/OCNLI
klue_nli ko validation|klue/klue|nli|CC BY-SA 4.0|Park et al. 2021, NeurIPS|github.com/KLUE-benchmark/KLUE
kornli ko test|||CC BY-SA 4.0|Ham et al. 2020, Findings of EMNLP|github.com/kakaobrain/KorNLUDatasets
jnli ja validation|||CC BY-SA 4.0|Kurihara, Kawahara and Shibata 2022, LREC|github.com/yahoojapan/JGLUE
c_xnli hr test|||CC BY-NC 4.0|Obadić et al. 2023, C-XNLI|github.com/lobadic/C-XNLI
myxnli my test|||CC BY-NC 4.0|Htet and Dras 2025, myXNLI|github.com/akhtet/myXNLI
farstail fa test|||Apache-2.0|Amirkhani et al. 2023, Soft Computing|github.com/dml-qom/FarsTail
"""


def _nli_targets_task(line: str) -> Task:
    key, path, config, licence, citation, url = line.split("|")
    name, language, split = key.split()
    source = Source(
        dataset=name,
        split=split,
        path=path or None,
        name=config or None,
        revision=_NLI_PINS.get(path, CONVERTED),
        keyed_as=CONVERTED if path in _NLI_PINS else None,
        converter="premise_hypothesis",
    ).model_copy(update=_NLI_FILES.get(name, {}))
    return Task(
        name=name,
        type=MNLI_TYPE,
        train=MNLI_TRAIN,
        dev=MNLI_DEV,
        test=source,
        languages=(language,),
        dev_languages=("en",),
        main_score="accuracy",
        description=f"Natural language inference in {language!r}.",
        licence=licence,
        citation=citation,
        url=f"https://{url}",
    )


NLI_TARGETS_TASKS = [_nli_targets_task(line) for line in _NLI_TARGETS_TABLE.strip().splitlines()]
