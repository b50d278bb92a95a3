"""The report: one self-contained HTML page."""

from __future__ import annotations

from raystilts.report.html.gather import ReportData, gather
from raystilts.report.html.page import page

__all__ = ["ReportData", "gather", "page"]
