"""A report of runs: one HTML file that opens without a network."""

from wsreid.report.report import Report, ReportSettings, make_report

__all__ = ["Report", "ReportSettings", "make_report"]
