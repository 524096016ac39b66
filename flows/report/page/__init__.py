"""`report.html`: a run on one page, and two runs side by side."""
