"""The whole page: one file, nothing loaded from anywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

from raystilts import __version__
from raystilts.report.html import palette
from raystilts.report.html.gather import ReportData, method, missing, question
from raystilts.report.html.markup import Markup, tag
from raystilts.report.html.methods import methods_section
from raystilts.report.html.overview import gains_section, languages_section, probability_section
from raystilts.report.html.provenance import cost_section, provenance_section
from raystilts.report.html.targets import answer_section, targets_section

#: Browsers are told to load nothing at all.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(data: ReportData) -> str:
    """The report as an HTML document."""
    sections = {
        "Answer": answer_section(data),
        "Gains": gains_section(data),
        "P(best)": probability_section(data),
        "Languages": languages_section(data),
        "Targets": targets_section(data),
        "Methods": methods_section(data),
        "Cost": cost_section(data),
        "Provenance": provenance_section(data),
    }
    there = {name: section for name, section in sections.items() if section is not None}
    links = [tag("li", tag("a", name, href=f"#{'p-best' if name == 'P(best)' else name.lower()}")) for name in there]
    return document(
        data.name,
        tag("a", "To the answer", href="#answer", class_="skip"),
        _header(data),
        tag("nav", tag("ul", links), aria_label="Sections"),
        tag("main", list(there.values())),
    )


def document(name: str, *content: Markup) -> str:
    """A page of this kind around its content."""
    body = tag(
        "body",
        list(content),
        tag("footer", f"Made by raystilts {__version__} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."),
        tag("script", Markup(_file("script.js"))),
    )
    return f"<!doctype html>\n{tag('html', _head(name), body, lang='en')}\n"


def _head(name: str) -> Markup:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", f"{name}: raystilts report"),
        tag("style", Markup(style())),
    )


def style() -> str:
    """The style sheet: the colours of both themes, then the rules."""
    light, dark = palette.css_variables(palette.LIGHT), palette.css_variables(palette.DARK)
    themes = f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    return themes + palette.css_rules() + "\n" + _file("style.css")


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _header(data: ReportData) -> Markup:
    said = [*([data.complete] if data.complete else []), *missing(data), *data.warnings]
    return tag(
        "header",
        tag("p", "Transfer study", class_="over"),
        tag("h1", data.name),
        tag("p", question(data), class_="question"),
        tag("p", method(data)),
        tag("ul", [tag("li", one) for one in said], class_="notes") if said else None,
    )
