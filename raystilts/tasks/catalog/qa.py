"""Extractive question answering: the answer is a span of the passage."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import CONVERTED, Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.span_qa import SpanQA

# SQuAD v1.1.
SQUAD_TRAIN = Source(
    dataset="squad",
    split="train",
    path="rajpurkar/squad",
    revision="7b6d24c440a36b6815f21b70d25016731768db1f",
    rows=87_599,
    tokens_per_row=185,
)

#: SQuAD's own dev split is reported, and XQuAD's paragraphs are of it: dev is one in twenty paragraphs of train.
SQUAD_CARVED_TRAIN = SQUAD_TRAIN.carved("train", share=0.05, by=("context",), rows=83_200)
SQUAD_CARVED_DEV = SQUAD_TRAIN.carved("dev", share=0.05, by=("context",), rows=4_400)

SQUAD = Task(
    name="squad",
    type=SpanQA(),
    train=SQUAD_CARVED_TRAIN,
    dev=SQUAD_CARVED_DEV,
    test=SQUAD_TRAIN.other("validation", rows=10_570),
    languages=("en",),
    dev_languages=("en",),
    main_score="em_f1",
    description="Where in the paragraph is the answer? English Wikipedia.",
    licence="CC BY-SA 4.0",
    citation="Rajpurkar et al. 2016, EMNLP, aclanthology.org/D16-1264",
    url="https://rajpurkar.github.io/SQuAD-explorer/",
    scores_compared="SQuAD v1.1 exact match and F1; main score their mean, as in jiant",
)


# SQuAD v2.0.
SQUAD_V2_ROWS = Source(
    dataset="squad_v2",
    split="train",
    path="rajpurkar/squad_v2",
    revision="3ffb306f725f7d2ce8394bc1873b24868140c412",
    rows=130_319,
    tokens_per_row=185,
)
SQUAD_V2_TRAIN, SQUAD_V2_DEV = SQUAD_V2_ROWS.cut(share=0.05, by=("context",))

SQUAD_V2 = Task(
    name="squad_v2",
    type=SpanQA(no_answer=True),
    train=SQUAD_V2_TRAIN,
    dev=SQUAD_V2_DEV,
    test=SQUAD_V2_ROWS.other("validation", rows=11_873),
    languages=("en",),
    dev_languages=("en",),
    main_score="em_f1",
    description="SQuAD with questions that the paragraph does not answer.",
    licence="CC BY-SA 4.0",
    citation="Rajpurkar, Jia and Liang 2018, ACL, aclanthology.org/P18-2124",
    url="https://rajpurkar.github.io/SQuAD-explorer/",
    scores_compared="SQuAD v2.0 exact match and F1 with a threshold of 0 for no answer",
)


# XQuAD: trains on SQuAD v1.1, evaluates in 12 languages.
XQUAD = Task(
    name="xquad",
    type=SpanQA(),
    train=SQUAD_CARVED_TRAIN,
    dev=SQUAD_CARVED_DEV,
    test=Source(
        dataset="xquad",
        split="validation",
        path="google/xquad",
        name="xquad.{language}",
        revision="51adfef1c1287aab1d2d91b5bead9bcfb9c68583",
        keyed_as=CONVERTED,
        converter="answers_in_place",
        rows=1_190,
        tokens_per_row=240,
    ),
    languages=codes("ar de el en es hi ro ru th tr vi zh"),
    dev_languages=("en",),
    main_score="em_f1",
    description="240 paragraphs of SQuAD's dev split, professionally translated; XTREME.",
    licence="CC BY-SA 4.0",
    citation="Artetxe, Ruder and Yogatama 2020, ACL, aclanthology.org/2020.acl-main.421",
    url="https://github.com/google-deepmind/xquad",
    scores_compared="SQuAD v1.1's normaliser in every language, as in XTREME's evaluate.py",
)


# MLQA: trains on SQuAD v1.1, evaluates in 7 languages (question and context in the same one).
#
# XTREME's copy, which is of files: MLQA's own on the hub is a script. Its texts lost the white space at their ends.
MLQA = Task(
    name="mlqa",
    type=SpanQA(normaliser="mlqa"),
    train=SQUAD_CARVED_TRAIN,
    dev=SQUAD_CARVED_DEV,
    test=Source(
        dataset="mlqa",
        split="test",
        fallback_splits=("validation",),
        path="google/xtreme",
        name="MLQA.{language}.{language}",
        hub_files="MLQA.{language}.{language}/{split}-00000-of-00001.parquet",
        hub_converter="answers_in_place",
        revision="716999ca55dfe4bc051513a3a5813a8285aac961",
        rows=5_500,
        tokens_per_row=230,
    ),
    languages=codes("ar de en es hi vi zh"),
    dev_languages=("en",),
    main_score="em_f1",
    description="Wikipedia paragraphs with questions translated by professionals; XTREME.",
    licence="CC BY-SA 3.0",
    citation="Lewis et al. 2020, ACL, aclanthology.org/2020.acl-main.653",
    url="https://github.com/facebookresearch/MLQA",
    scores_compared="MLQA's own normalisation by language (as in its evaluation script)",
)


# TyDiQA-GoldP.
TYDIQA_TRAIN = Source(
    dataset="tydiqa",
    split="train",
    converter="tydiqa_items",
    path="google-research-datasets/tydiqa",
    name="secondary_task",
    revision="da78f23f9119363459acbaf46bf89426ff26c259",
    rows=3_696,
    tokens_per_row=160,
)

TYDIQA = Task(
    name="tydiqa",
    type=SpanQA(),
    train=TYDIQA_TRAIN.carved("train", share=0.1, by=("context",), rows=3_330),
    dev=TYDIQA_TRAIN.carved("dev", share=0.1, by=("context",), rows=366),
    test=TYDIQA_TRAIN.other("validation", rows=564),
    languages=codes("ar bn en fi id ko ru sw te"),
    dev_languages=("en",),
    main_score="em_f1",
    description="Questions asked in 9 languages about Wikipedia passages in them; XTREME.",
    licence="Apache-2.0",
    citation="Clark et al. 2020, TACL 8, aclanthology.org/2020.tacl-1.30",
    url="https://github.com/google-research-datasets/tydiqa",
    scores_compared="SQuAD v1.1's normaliser in every language, as in XTREME's evaluate.py",
)
