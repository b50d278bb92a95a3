"""What stands above, below and around numbers in a table of LaTeX is no part of them."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from raystilts.importing.latex import table_of_latex
from raystilts.importing.table import Imported

Import = Callable[..., Imported]
Scores = Callable[[], pd.DataFrame]


def _cells(*cells: str) -> list[str]:
    lines = table_of_latex(r"\begin{tabular}{l}" + r" \\ ".join(cells) + r"\end{tabular}").splitlines()
    return [line.strip('"') for line in lines]


@pytest.mark.parametrize(
    ("cell", "plain"),
    [(r"66.4$_{12}$", "66.4"), (r"78.3$^{1}$", "78.3"), (r"\textbf{53.0}$^2$", "53.0"), (r"$66.4^{1}_{12}$", "66.4"),
     (r"66.4\textsuperscript{1}", "66.4"), (r"66.4\textsubscript{12}", "66.4"), (r"66.4$^{\dagger}$", "66.4"),
     (r"66.4$^{*}$", "66.4"), (r"66.4\%$^1$", "66.4%"), (r"--$^1$", "-"), (r"66.4$_{+1.2}$", "66.4"),
     (r"66.4$_{\uparrow 1.2}$", "66.4"), (r"66.4$^{+1.2}_{-1.0}$", "66.4"), (r"66.4\tnote{1}", "66.4"),
     (r"66.4\footnotemark[1]", "66.4"), (r"66.4\rlap{$^*$}", "66.4"), (r"66.4(12)", "66.4"), (r"66,4$_{(12)}$", "66,4"),
     (r"66.4 $\pm$ 1.2$^{1}$", "66.4 ± 1.2"), (r"66.4 (1.2)$^{a}$", "66.4 (1.2)"), (r"$^*$66.4", "66.4")],
)  # fmt: skip
def test_marks_are_no_part_of_a_number(cell: str, plain: str) -> None:
    assert _cells(cell) == [plain]


@pytest.mark.parametrize(
    "cell",
    [r"66.4$_{1.2}$", r"$66.4_{1.2}$", r"$\mathbf{66.4}_{1.2}$", r"\textbf{66.4}$_{\text{\scriptsize 1.2}}$",
     r"66.4$_{(1.2)}$", r"66.4$_{\pm 1.2}$", r"66.4$^{\pm 1.2}$", r"66.4$_{1.2}^{*}$", r"66.4$^\dagger_{1.2}$",
     r"66.4\textsubscript{1.2}", r"66.4\textsubscript{$\pm$1.2}", r"66.4\,{\scriptsize $\pm$ 1.2}"],
)  # fmt: skip
def test_a_number_with_a_point_below_is_a_spread(cell: str) -> None:
    assert _cells(cell) == ["66.4 ± 1.2"]


@pytest.mark.parametrize(
    ("cell", "plain"),
    [(r"\textcolor{red}{78.3}", "78.3"), (r"\textcolor[rgb]{1,0,0}{\textbf{78.3}}", "78.3"),
     (r"\colorbox{gray!20}{78.3}", "78.3"), (r"\fcolorbox{red}{white}{78.3}", "78.3"), (r"{\color{red} 78.3}", "78.3"),
     (r"\cellcolor[HTML]{AAAAAA}78.3", "78.3"), (r"\phantom{1}6.4", "6.4"), (r"\phantom{-}6.4", "6.4"),
     (r"\hspace{1mm}6.4", "6.4"), (r"\scalebox{0.9}{66.4}", "66.4"), (r"\rotatebox{90}{RTE}", "RTE"),
     (r"\best{6}{6.4}", "6 6.4"), (r"$10^{-5}$", "1e-05"), (r"$6 \times 10^{2}$", "600"), (r"$2^{10}$", "1024")],
)  # fmt: skip
def test_arguments_of_commands_are_no_part_of_a_number(cell: str, plain: str) -> None:
    assert _cells(cell) == [plain]


@pytest.mark.parametrize(
    ("cell", "plain"),
    [(r"RoBERTa$_{base}$", "RoBERTabase"), (r"RoBERTa$_{\text{base}}$", "RoBERTa base"),
     (r"mBERT$_{large}$", "mBERTlarge"), (r"RoBERTa\textsubscript{large}", "RoBERTa large"), (r"F$_1$", "F1"),
     (r"R$^2$", "R2"), (r"X$_{12}$", "X12"), (r"T5$^{3}$", "T53"), (r"GPT-2$_{small}$", "GPT-2small"),
     (r"Social\_IQa", "Social_IQa"), (r"2020$_{a}$", "2020a")],
)  # fmt: skip
def test_names_keep_what_is_below_and_above(cell: str, plain: str) -> None:
    assert _cells(cell) == [plain]


@pytest.mark.parametrize(
    ("rows", "plain"),
    [((r"\multicolumn{2}{c@{}}{XQuAD} & b",), ["XQuAD,XQuAD,b"]),
     ((r"\multicolumn{2}{>{\bfseries}c@{\hskip 1em}}{\textbf{X}}",), ["X,X"]),
     ((r"\multicolumn2c{X}$^1$ & b",), ["X1,X1,b"]),
     ((r"\multirow{2}*{X} & 1", "& 2"), ["X,1", "X,2"]), ((r"\multirow2*{X} & 1", "& 2"), ["X,1", "X,2"]),
     ((r"\textbf{\multirow[t]{2}{*}[-2pt]{X}} & 1", "& 2"), ["X,1", "X,2"]),
     (("& 1", r"\multirow{-2}{*}{X} & 2", "Y & 3"), ["X,1", "X,2", "Y,3"]),
     ((r"\multicolumn{1}{c}{\multirow{2}{*}{X}} & 1", "& 2"), ["X,1", "X,2"])],
)  # fmt: skip
def test_cells_over_rows_and_columns(rows: tuple[str, ...], plain: list[str]) -> None:
    assert _cells(*rows) == plain


def test_marks_and_spreads_as_they_are_imported(load: Import, scores: Scores) -> None:
    text = "\n".join((
        r"\begin{tabular}{lcc}", r"& \multicolumn{2}{c@{}}{Target} \\",
        r"Intermediate & RTE & \textcolor{gray}{COPA} \\",
        r"none & 66.4$_{1.2}$ & 50.0$_{12}$ \\",
        r"MNLI$_{1}$ & \textbf{78.3}$^{1}_{0.5}$ & \textcolor{red}{53.0}$^2$ \\",
        r"\end{tabular}",
    ))  # fmt: skip
    load(text, "t.tex", constants={"runs": "3"})
    found = scores().groupby(["intermediate", "target"])["value"]
    assert found.mean().round(6).to_dict() == {
        ("MNLI1", "COPA"): 0.53, ("MNLI1", "RTE"): 0.783, ("none", "COPA"): 0.5, ("none", "RTE"): 0.664,
    }  # fmt: skip
    spread = found.std().round(6)
    assert (spread["none", "RTE"], spread["MNLI1", "RTE"]) == (0.012, 0.005)
