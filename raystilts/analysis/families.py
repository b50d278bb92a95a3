"""The language family of each language that tasks here have, after Glottolog's top level (Hammarstrom et al.)."""

from __future__ import annotations

_TABLE = """
Indo-European: af be bg bn br bs ca cs cy da de el en es fa fo fr fy ga gd gl gu hi hr hy is it ku la lt lv mk mr nb nl
Indo-European: nn oc pa pl pt ro ru sk sl sq sr sv uk ur yi
Afro-Asiatic: am ar ha he om so ti
Atlantic-Congo: bbj bem ee fon ig lg ln mos ny rw sn sw tn tw wo xh yo zu
Austronesian: id jv ms tl
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
