"""Multiple choice: common sense and reading."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import CONVERTED, Source
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
    description="Questions about everyday knowledge, five answers (the test labels are hidden).",
    licence="MIT",
    citation="Talmor et al. 2019, NAACL, aclanthology.org/N19-1421",
    url="https://www.tau-nlp.sites.tau.ac.il/commonsenseqa",
)


# Cosmos QA.
COSMOS_QA_ROWS = Source(
    dataset="cosmos_qa",
    split="train",
    path="allenai/cosmos_qa",
    revision="ed50fe83db62b355759053b1cd5eef344ee371e0",
    keyed_as=CONVERTED,
    rows=25_262,
    tokens_per_row=440,
)
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
    description="How does the scene go on? One of four endings (the test labels are hidden).",
    licence="MIT",
    citation="Zellers et al. 2019, ACL, aclanthology.org/P19-1472",
    url="https://rowanzellers.com/hellaswag/",
)


# Social IQa.
SOCIAL_I_QA_ROWS = Source(
    dataset="social_i_qa",
    split="train",
    path="allenai/social_i_qa",
    revision="537a2ec8ec565adc0b70b70752893e59e024df26",
    keyed_as=CONVERTED,
    rows=33_410,
    tokens_per_row=115,
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
    revision="3de24cf8022e94f4ee4b9d55a6f539891524d646",
    keyed_as=CONVERTED,
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
    description="Which of two sentences is the cause or the effect? 11 languages; XTREME-R.",
    licence="CC BY 4.0 (XCOPA), BSD 2-Clause (COPA)",
    citation="Ponti et al. 2020, EMNLP, aclanthology.org/2020.emnlp-main.185",
    url="https://github.com/cambridgeltl/xcopa",
)


# Belebele: reading comprehension on FLORES passages. It has no training data of its own: it trains on Cosmos QA, whose
# questions have four answers too (the paper trains on several English sets).
BELEBELE_ROWS = COSMOS_QA_ROWS.model_copy(update={"converter": "belebele_items"})
BELEBELE_TRAIN, BELEBELE_DEV = BELEBELE_ROWS.cut(share=0.1, by=("flores_passage",))

BELEBELE = Task(
    name="belebele",
    type=MultipleChoice(
        context="{flores_passage}",
        choice="{question} {choice}",
        choices=("mc_answer1", "mc_answer2", "mc_answer3", "mc_answer4"),
        label="correct_answer_num",
        labels=("1", "2", "3", "4"),
    ),
    train=BELEBELE_TRAIN,
    dev=BELEBELE_DEV,
    test=Source(
        dataset="belebele",
        split="test",
        path="facebook/belebele",
        name="{flores}",
        revision="75b399394a9803252cfec289d103de462763db7c",
        rows=900,
        tokens_per_row=520,
    ),
    languages=codes(
        "af am ar az bg bm bn ca cs da de el en es et eu fa fi fr gu ha he hi hr hu hy id ig is it ja jv ka kk km ko "
        "lg ln lt luo lv mk ml mn mr ms my nb nl ny om pa pl pt ro ru rw sk sl sn so sq sr st su sv sw ta te th ti tl "
        "tn tr uk ur uz vi wo xh yo zh zu"
    ),
    dev_languages=("en",),
    main_score="accuracy",
    description="Questions about a passage, four answers; parallel in 122 language variants.",
    licence="CC BY-SA 4.0",
    citation="Bandarkar et al. 2024, ACL, aclanthology.org/2024.acl-long.44",
    url="https://github.com/facebookresearch/belebele",
)


# XStoryCloze: the right ending of a story. The English training split is StoryCloze's dev set of 360 stories.
XSTORYCLOZE_ROWS = Source(
    dataset="xstorycloze",
    split="train",
    path="juletxara/xstory_cloze",
    name="{language}",
    revision="c4c2d88a1ec8b37fe22166d2a610f272726724b6",
    keyed_as=CONVERTED,
    hub_files="spring2016.val.{language}.tsv.split_20_80_{split}.tsv",
    converter="quoted_cells",
    rows=360,
    tokens_per_row=110,
)
XSTORYCLOZE_TRAIN, XSTORYCLOZE_DEV = XSTORYCLOZE_ROWS.cut(share=0.2, by=("input_sentence_1",))

XSTORYCLOZE = Task(
    name="xstorycloze",
    type=MultipleChoice(
        context="{input_sentence_1} {input_sentence_2} {input_sentence_3} {input_sentence_4}",
        choices=("sentence_quiz1", "sentence_quiz2"),
        label="answer_right_ending",
        labels=("1", "2"),
    ),
    train=XSTORYCLOZE_TRAIN,
    dev=XSTORYCLOZE_DEV,
    test=XSTORYCLOZE_ROWS.other("test", hub_split="eval", rows=1_511),
    languages=codes("ar en es eu hi id my ru sw te zh"),
    dev_languages=("en",),
    main_score="accuracy",
    description="Which of two sentences ends the story?",
    licence="CC BY-SA 4.0",
    citation="Lin et al. 2022, EMNLP, aclanthology.org/2022.emnlp-main.616",
    url="https://huggingface.co/datasets/juletxara/xstory_cloze",
)


# WinoGrande, and XWinograd, which trains on it: sentences with a gap and two names for it.
WINOGRANDE_ROWS = Source(
    dataset="winogrande",
    split="train",
    path="allenai/winogrande",
    name="winogrande_xl",
    revision="01e74176c63542e6b0bcb004dcdea22d94fb67b5",
    keyed_as=CONVERTED,
    rows=40_398,
    tokens_per_row=62,
)
WINOGRANDE_DEV = WINOGRANDE_ROWS.other("validation", rows=1_267)
WINOGRANDE_OWN_TRAIN, WINOGRANDE_OWN_DEV = WINOGRANDE_ROWS.cut(share=0.05, by=("sentence",))

WINOGRANDE = Task(
    name="winogrande",
    type=MultipleChoice(context="{sentence}", choices=("option1", "option2"), label="answer", labels=("1", "2")),
    train=WINOGRANDE_OWN_TRAIN,
    dev=WINOGRANDE_OWN_DEV,
    test=WINOGRANDE_DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    description="Which of two names fills the gap? (The test labels are hidden.)",
    licence="Apache-2.0",
    citation="Sakaguchi et al. 2020, AAAI, arxiv.org/abs/1907.10641",
    url="https://winogrande.allenai.org",
)

XWINOGRAD = WINOGRANDE.model_copy(
    update={
        "name": "xwinograd",
        "train": WINOGRANDE_ROWS,
        "dev": WINOGRANDE_DEV,
        "test": Source(
            dataset="xwinograd",
            split="test",
            path="Muennighoff/xwinograd",
            name="{language}",
            revision="90b619ef5278605cd4f572e3e8506ab16afd44f2",
            keyed_as=CONVERTED,
            hub_files="test/{language}.jsonl",
            language_codes={"ja": "jp"},
            rows=300,
        ),
        "languages": codes("en fr ja pt ru zh"),
        "description": "Winograd schemas in six languages; trains on WinoGrande.",
        "licence": "CC BY 4.0",
        "citation": "Tikhonov and Ryabinin 2021, Findings of ACL, aclanthology.org/2021.findings-acl.310",
        "url": "https://huggingface.co/datasets/Muennighoff/xwinograd",
    }
)


# Global-MMLU-Lite: exam questions. It has no training data: it trains on Cosmos QA, as Belebele does.
MMLU_ROWS = COSMOS_QA_ROWS.model_copy(update={"converter": "mmlu_items"})
MMLU_TRAIN, MMLU_DEV = MMLU_ROWS.cut(share=0.1, by=("question",))

GLOBAL_MMLU = Task(
    name="global_mmlu",
    type=MultipleChoice(
        context="{question}",
        choices=("option_a", "option_b", "option_c", "option_d"),
        label="answer",
        labels=("A", "B", "C", "D"),
    ),
    train=MMLU_TRAIN,
    dev=MMLU_DEV,
    test=Source(
        dataset="global_mmlu",
        split="test",
        path="CohereLabs/Global-MMLU-Lite",
        name="{language}",
        revision="36c2fd756f19ccf13a9a96c8e53ccecc02192b8b",
        keyed_as=CONVERTED,
        rows=400,
        tokens_per_row=320,
    ),
    languages=codes("ar bn de en es fr hi id it ja ko pt sw yo zh"),
    dev_languages=("en",),
    main_score="accuracy",
    description="Exam questions of many subjects, half of them bound to a culture; the Lite set.",
    licence="Apache-2.0",
    citation="Singh et al. 2025, ACL, arxiv.org/abs/2412.03304",
    url="https://huggingface.co/datasets/CohereLabs/Global-MMLU-Lite",
)
