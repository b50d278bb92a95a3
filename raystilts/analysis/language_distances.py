"""Distances between languages: from URIEL+ (the extra `languages`), from sub-words, or from a table of the user's own.

The sub-word distance is one that the tokenizer knows: how differently two languages use an encoder's sub-words.
Families are after Glottolog's top level (Hammarstrom et al.).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from raystilts.analysis.domain_distances import Counts, jensen_shannon
from raystilts.errors import UserError
from raystilts.planning.encoders import describe_encoder
from raystilts.study.encoder import Encoder
from raystilts.tasks.languages import iso3_code

FloatArray = npt.NDArray[np.float64]
Distances = dict[str, dict[str, float]]
#: What URIEL+ (Khan et al. 2025, COLING) gives offline, in the order of its papers.
URIEL_DISTANCES = ("syntactic", "phonological", "inventory", "genetic", "geographic", "featural", "script")
#: Archives of the package, their distances, and how the names of each distance's features begin.
_ARCHIVES = {
    "family_features.npz": {"genetic": ""},
    "features.npz": {"syntactic": "S_", "phonological": "P_", "inventory": "INV_", "featural": ""},
    "geocoord_features.npz": {"geographic": ""},
    "script_features.npz": {"script": ""},
}
#: The language that the others are compared with.
SOURCE = "en"
#: Distances of grammar: a pair is compared over this many shared features at least. With fewer, near is an accident:
#: Malay, Croatian and Bemba have a syntactic distance of 0 from English over 12 features, Tswana over one.
LEAST_SHARED = {"syntactic": 20, "phonological": 10, "inventory": 20, "featural": 20}
#: Codes under which URIEL+ may describe a language, such as its macrolanguage: the best described one is taken.
_OTHER_CODES = {
    "ar": "ara", "az": "aze", "bs": "hbs", "et": "est", "fa": "fas", "hr": "hbs", "ku": "kur", "lv": "lav", "mg": "mlg",
    "mn": "mon", "ms": "msa", "nb": "nor", "ne": "nep", "no": "nor", "om": "orm", "or": "ori", "ps": "pus",
    "qu": "que", "sq": "sqi", "sr": "hbs", "sw": "swa", "tw": "aka", "uz": "uzb", "yi": "yid", "zh": "cmn",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class UrielDistances:
    """Distances of languages from one, and what they rest on.

    Attributes:
        values: Distance to language to value, 0 to 1.
        shared: Distance to language to the number of features that both languages have, also where there are too few.
        codes: URIEL+'s code of each language: the best described of those that stand for it.
    """

    values: Distances
    shared: dict[str, dict[str, int]]
    codes: dict[str, str]

    def notes(self) -> tuple[str, ...]:
        """What each distance rests on, and which languages it leaves out, one sentence a distance."""
        found = []
        for name, counts in self.shared.items():
            kept = [counts[language] for language in self.values[name]]
            out = {language: number for language, number in counts.items() if language not in self.values[name]}
            text = f"{name}: over {min(kept)} to {max(kept)} shared features" if kept else f"{name}: of no language"
            if out:
                names = ", ".join(f"{language} {number}" for language, number in sorted(out.items()))
                text += f"; left out for fewer than {LEAST_SHARED.get(name, 1)}: {names}"
            found.append(text)
        return tuple(found)


def uriel_distances(languages: Iterable[str]) -> UrielDistances:
    """Angular distances from English over URIEL+'s features, as `urielplus` itself gives them.

    Its archives are read straight from the installed package: the package's own functions take a minute for
    fifty languages, and copy the archives into the package's folder first, which a read-only installation forbids.
    A feature's value is the largest that any source gives (for geography their mean); a pair is compared over the
    features that both languages have, if these are enough (`LEAST_SHARED`).

    Args:
        languages: Our codes.

    Raises:
        UserError: urielplus is not installed.
    """
    folder = _archives()
    wanted = dict.fromkeys([*languages])
    wanted.pop(SOURCE, None)
    candidates = {one: tuple(dict.fromkeys((iso3_code(one), _OTHER_CODES.get(one, "")))) for one in (SOURCE, *wanted)}
    every = {code for codes in candidates.values() for code in codes}
    grammar, features = _vectors(folder / "features.npz", every, mean=False)
    chosen = _best_described(candidates, grammar, features, SOURCE)
    values: Distances = {}
    shared: dict[str, dict[str, int]] = {}
    for archive, distances in _ARCHIVES.items():
        vectors, features = _vectors(folder / archive, set(chosen.values()), mean="geographic" in distances)
        nothing = np.full(len(features), np.nan)
        for name, prefix in distances.items():
            columns = np.char.startswith(features, prefix)
            own = vectors.get(chosen[SOURCE], nothing)[columns]
            values[name], shared[name] = {}, {}
            for language in wanted:
                other = vectors.get(chosen[language], nothing)[columns]
                number = int((~np.isnan(own) & ~np.isnan(other)).sum())
                shared[name][language] = number
                value = _angular(own, other) if number >= LEAST_SHARED.get(name, 1) else None
                if value is not None:
                    values[name][language] = value
    return UrielDistances(
        {name: values[name] for name in URIEL_DISTANCES}, {name: shared[name] for name in URIEL_DISTANCES}, chosen
    )


def _best_described(
    candidates: Mapping[str, Sequence[str]],
    vectors: Mapping[str, FloatArray],
    features: NDArray[np.str_],
    source: str,
) -> dict[str, str]:
    """The code of each language with most features of grammar that the source has too; of equal ones the first."""
    grammar = np.char.startswith(features, "S_") | np.char.startswith(features, "P_")
    known = {code: ~np.isnan(vector) & grammar for code, vector in vectors.items()}
    base = max((known[code] for code in candidates[source] if code in known), key=np.sum, default=grammar)

    def described(code: str) -> int:
        return int((known[code] & base).sum()) if code in known else -1

    return {language: max(codes, key=described) for language, codes in candidates.items()}


def _archives() -> Path:
    spec = find_spec("urielplus")
    if spec is None or spec.origin is None:
        raise UserError(
            "distances between languages need urielplus; install it with the extra "
            "(pip install 'raystilts[languages]'), or give a table of your own: --distances FILE.csv"
        )
    folder = Path(spec.origin).parent / "database" / "original_uriel"
    if not all((folder / name).is_file() for name in _ARCHIVES):
        raise UserError(f"{folder}: the archives of urielplus 1.3 are not there; pip install 'urielplus>=1.3,<1.4'")
    return folder


def _vectors(archive: Path, codes: set[str], mean: bool) -> tuple[dict[str, FloatArray], NDArray[np.str_]]:
    """Features of some languages, nan where no source knows; and the features' names."""
    with np.load(archive, allow_pickle=False) as data:
        rows = np.flatnonzero(np.isin(data["langs"], sorted(codes)))
        names, features = data["langs"][rows], data["feats"]
        values = np.asarray(data["data"][rows], dtype=np.float64)
    known = np.where((values == -1.0) | ~np.isfinite(values), np.nan, values)
    seen = ~np.isnan(known)
    counts = seen.sum(axis=2)
    sums = np.where(seen, known, 0.0).sum(axis=2) / np.maximum(counts, 1)
    largest = np.where(seen, known, -np.inf).max(axis=2)
    merged = np.where(counts > 0, sums if mean else largest, np.nan)
    return {str(name): row for name, row in zip(names, merged, strict=True)}, features


def _angular(one: FloatArray, other: FloatArray) -> float | None:
    """2 arccos(cosine) / pi over what both know; None where that is nothing."""
    both = ~np.isnan(one) & ~np.isnan(other)
    if not both.any():
        return None
    u, v = (np.where(np.any(x[both]), x[both], 1.0) for x in (one, other))
    cosine = float(u @ v) / float(np.linalg.norm(u) * np.linalg.norm(v))
    return float(2.0 * np.arccos(np.clip(cosine, -1.0, 1.0)) / np.pi)


def _missing(path: Path) -> dict[str, list[str]]:
    """What stands for a missing number: pandas' usual words in every column but `language`."""
    import pandas as pd

    words = ["", "NA", "N/A", "n/a", "nan", "NaN", "NULL", "null", "None", "-"]
    return {str(name): [""] if name == "language" else words for name in pd.read_csv(path, nrows=0).columns}


def read_columns(path: Path, option: str) -> Distances:
    """Numbers by language from a CSV or Parquet file with a column `language`; empty cells are missing.

    Args:
        path: The file.
        option: The option that names it, for errors.

    Returns:
        Column to language to value.

    Raises:
        UserError: The file cannot be read, or holds no column of numbers.
    """
    import pandas as pd

    if not path.is_file():
        raise UserError(f"{option} {path}: no such file; expected a CSV with a column language and columns of numbers")
    try:
        # a language is called nan (Min Nan): only an empty cell is missing there
        rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(
            path, keep_default_na=False, na_values=_missing(path)
        )  # fmt: skip
    except (ValueError, OSError) as error:
        raise UserError(f"{option} {path}: cannot be read as a table ({error})") from None
    numbers = [str(name) for name in rows.columns if name != "language" and pd.api.types.is_numeric_dtype(rows[name])]
    if "language" not in rows.columns or not numbers:
        raise UserError(f"{option} {path}: needs a column language and at least one column of numbers")
    return {
        name: {
            str(language): float(value)
            for language, value in zip(rows["language"], rows[name], strict=True)
            if pd.notna(value) and pd.notna(language)
        }
        for name in numbers
    }


#: Sub-words a language; small samples have little in common for want of size, so all languages get the same.
SUBWORDS = 20_000


def subword_distances(
    tokenizer: Any, text: Path, languages: Iterable[str], subwords: int = SUBWORDS
) -> dict[str, float]:
    """Jensen-Shannon divergence (bits, 0 to 1) of each language's sub-words from those of English.

    Args:
        tokenizer: The encoder's, as of `transformers`.
        text: Folder ``<language>/train.parquet`` with a column `text`.
        languages: Those wanted; a language with less text than the others' sample is left out.
        subwords: Sub-words taken of each language, from its first rows on.

    Raises:
        UserError: There is no text, or too little, in English.
    """
    base = _counts(tokenizer, text, SOURCE, subwords)
    if base is None:
        raise UserError(
            f"--text {text}: expected {SOURCE}/train.parquet with a column text and {subwords:,} sub-words or more"
        )
    found = {}
    for language in languages:
        counts = _counts(tokenizer, text, language, subwords) if language != SOURCE else None
        if counts is not None:
            found[language] = jensen_shannon(base, counts)
    return found


def load_tokenizer(encoder: Encoder) -> Any:
    """The tokenizer of a study's encoder; raises UserError where it cannot be had."""
    from transformers import AutoTokenizer

    info = describe_encoder(encoder)
    try:
        return AutoTokenizer.from_pretrained(info.location, revision=info.revision)
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--text: the tokenizer of {encoder.model_name_or_path!r} cannot be had ({reason})") from None


def _counts(tokenizer: Any, text: Path, language: str, subwords: int) -> Counts | None:
    import pyarrow.parquet as pq

    path = text / language / "train.parquet"
    if not path.is_file():
        return None
    table = pq.read_table(path)
    if "text" not in table.column_names:
        raise UserError(f"--text {text}: {path} has no column text")
    ids: list[int] = []
    rows = table.column("text").to_pylist()
    for start in range(0, len(rows), 200):
        batch = tokenizer([row for row in rows[start : start + 200] if row], add_special_tokens=False, verbose=False)
        ids += [number for row in batch["input_ids"] for number in row]
        if len(ids) >= subwords:
            return np.bincount(ids[:subwords], minlength=len(tokenizer)).astype(np.float64)
    return None


_TABLE = """
Indo-European: af be bg bn br bs ca cs cy da de el en es fa fo fr fy ga gd gl gu hi hr hy is it ku la lt lv mk mr nb nl
Indo-European: nn oc pa pl pt ro ru sk sl sq sr sv uk ur yi
Afro-Asiatic: am ar ha he om so ti
Atlantic-Congo: bbj bem ee fon ig lg ln mos ny rn rw sn st sw tn tw wo xh yo zu
Austronesian: id jv ms su tl
Austroasiatic: km vi
Dravidian: ml ta te
Sino-Tibetan: my zh
Tai-Kadai: th
Turkic: az kk tk tr tt ug uz
Uralic: et fi hu
Kartvelian: ka
Koreanic: ko
Japonic: ja
Mongolic: mn
Mande: bm
Nilotic: luo
Quechuan: qu
Basque: eu
Creole: ht pcm
Constructed: eo ia ie io
"""
_FAMILY = {code: line.split(":")[0] for line in _TABLE.strip().split("\n") for code in line.split(":")[1].split()}


def family_of(language: str) -> str:
    """The family of a language; the language itself where it is not known, a family of its own."""
    return _FAMILY.get(language, language)
