"""Multiple choice: common sense and reading."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.multiple_choice import MultipleChoice

# CommonsenseQA.
COMMONSENSE_QA_ROWS = Source(
    dataset="commonsense_qa",
    split="train",
    path="tau/commonsense_qa",
    revision="94630fe30dad47192a8546eb75f094926d47e155",
    rows=9_741,
    tokens_per_row=120,
)
COMMONSENSE_QA_TRAIN, COMMONSENSE_QA_DEV = COMMONSENSE_QA_ROWS.cut(share=0.1, by=("question",))

COMMONSENSE_QA = Task(
    name="commonsense_qa",
    type=MultipleChoice(
        context="{question}",
        choices=("choices.text",),
        label="answerKey",
        labels=("A", "B", "C", "D", "E"),
    ),
    train=COMMONSENSE_QA_TRAIN,
    dev=COMMONSENSE_QA_DEV,
    test=COMMONSENSE_QA_ROWS.other("validation", rows=1_221),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=0.2,
    description="Questions about everyday knowledge, five answers (the test labels are hidden).",
    licence="MIT",
    citation="Talmor et al. 2019, NAACL, aclanthology.org/N19-1421",
    url="https://www.tau-nlp.sites.tau.ac.il/commonsenseqa",
)


# Cosmos QA.
COSMOS_QA_ROWS = Source(dataset="cosmos_qa", split="train", path="allenai/cosmos_qa", rows=25_262, tokens_per_row=440)
COSMOS_QA_TRAIN, COSMOS_QA_DEV = COSMOS_QA_ROWS.cut(share=0.1, by=("context",))

COSMOS_QA = Task(
    name="cosmos_qa",
    type=MultipleChoice(
        context="{context}",
        choice="{question} {choice}",
        choices=("answer0", "answer1", "answer2", "answer3"),
        labels=("0", "1", "2", "3"),
    ),
    train=COSMOS_QA_TRAIN,
    dev=COSMOS_QA_DEV,
    test=COSMOS_QA_ROWS.other("validation", rows=2_985),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=0.25,
    description="Reading between the lines of personal stories, four answers (the test labels are hidden).",
    licence="CC BY 4.0",
    citation="Huang et al. 2019, EMNLP, aclanthology.org/D19-1243",
    url="https://wilburone.github.io/cosmos/",
)


# HellaSwag.
HELLASWAG_ROWS = Source(
    dataset="hellaswag",
    split="train",
    path="Rowan/hellaswag",
    revision="218ec52e09a7e7462a5400043bb9a69a41d06b76",
    rows=39_905,
    tokens_per_row=336,
)
HELLASWAG_TRAIN, HELLASWAG_DEV = HELLASWAG_ROWS.cut(share=0.05, by=("ctx",))

HELLASWAG = Task(
    name="hellaswag",
    type=MultipleChoice(context="{ctx}", choices=("endings",), labels=("0", "1", "2", "3")),
    train=HELLASWAG_TRAIN,
    dev=HELLASWAG_DEV,
    test=HELLASWAG_ROWS.other("validation", rows=10_042),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=0.25,
    description="How does the scene go on? One of four endings (the test labels are hidden).",
    licence="MIT",
    citation="Zellers et al. 2019, ACL, aclanthology.org/P19-1472",
    url="https://rowanzellers.com/hellaswag/",
)


# Social IQa.
SOCIAL_I_QA_ROWS = Source(
    dataset="social_i_qa", split="train", path="allenai/social_i_qa", rows=33_410, tokens_per_row=115
)
SOCIAL_I_QA_TRAIN, SOCIAL_I_QA_DEV = SOCIAL_I_QA_ROWS.cut(share=0.05, by=("context",))

SOCIAL_I_QA = Task(
    name="social_i_qa",
    type=MultipleChoice(
        context="{context} {question}", choices=("answerA", "answerB", "answerC"), labels=("1", "2", "3")
    ),
    train=SOCIAL_I_QA_TRAIN,
    dev=SOCIAL_I_QA_DEV,
    test=SOCIAL_I_QA_ROWS.other("validation", rows=1_954),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=1 / 3,
    description="Why do people do what they do? Three answers (the test labels are hidden).",
    licence="CC BY 4.0",
    citation="Sap et al. 2019, EMNLP, aclanthology.org/D19-1454",
    url="https://leaderboard.allenai.org/socialiqa",
)


# XCOPA: trains on English COPA (Social IQa as intermediate before it, as in XTREME-R).
XCOPA_TRAIN = Source(
    dataset="xcopa",
    split="train",
    path="aps/super_glue",
    name="copa",
    converter="copa_question",
    rows=400,
    tokens_per_row=44,
)
XCOPA_TEST = Source(
    dataset="xcopa",
    split="test",
    path="cambridgeltl/xcopa",
    name="{language}",
    revision="51a3dedb9b77c25e2ab1e93869a9db7dc2d27185",
    converter="copa_question",
    rows=500,
)

XCOPA = Task(
    name="xcopa",
    type=MultipleChoice(context="{premise} {question}", choices=("choice1", "choice2"), labels=("0", "1")),
    train=XCOPA_TRAIN,
    dev=XCOPA_TRAIN.other("validation", rows=100),
    test=XCOPA_TEST,
    languages=codes("et ht id it qu sw ta th tr vi zh"),
    dev_languages=("en",),
    main_score="accuracy",
    chance=0.5,
    description="Which of two sentences is the cause or the effect? 11 languages; XTREME-R.",
    licence="CC BY 4.0 (XCOPA), BSD 2-Clause (COPA)",
    citation="Ponti et al. 2020, EMNLP, aclanthology.org/2020.emnlp-main.185",
    url="https://github.com/cambridgeltl/xcopa",
)
